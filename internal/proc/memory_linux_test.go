package proc

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMemoryLimit(t *testing.T) {
	if n, known := MemoryLimit(); !known || n < 1<<20 {
		t.Errorf("%d bytes, %v", n, known)
	}
}

func TestLeastOfGroups(t *testing.T) {
	root := t.TempDir()
	for path, text := range map[string]string{
		"a/memory.max":                   "5000\n",
		"a/b/memory.max":                 "max\n",
		"memory/x/memory.limit_in_bytes": "700\n",
		"memory/memory.limit_in_bytes":   "9223372036854771712\n",
		"memory/y/memory.limit_in_bytes": "nonsense\n",
		"cpu/x/memory.limit_in_bytes":    "1\n",
	} {
		file := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const most = 1 << 30
	for groups, want := range map[string]int64{
		"":                              most,
		"0::/a/b\n":                     5000,
		"0::/elsewhere\n":               most,
		"0::/../../a\n":                 5000,
		"7:cpu:/x\n4:memory:/x\n0::/\n": 700,
		"4:hugetlb,memory:/y\n":         most,
		"nonsense\n:\n":                 most,
	} {
		if got := leastOfGroups(root, []byte(groups), most); got != want {
			t.Errorf("%q: %d, want %d", groups, got, want)
		}
	}
}
