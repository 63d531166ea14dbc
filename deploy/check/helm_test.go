package check

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
)

// render renders the chart as helm template does.
func render(t *testing.T, values map[string]any) []byte {
	t.Helper()
	var c *chart.Chart
	c, err := loader.Load("../helm/ldlm")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	all, err := util.ToRenderValues(c, values, common.ReleaseOptions{Name: "locks", Namespace: "ops"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	texts, err := engine.Render(c, all)
	if err != nil {
		t.Fatal(err)
	}
	var docs []string
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		docs = append(docs, texts[name])
	}
	return []byte(strings.Join(docs, "\n---\n"))
}

func TestChart(t *testing.T) {
	for _, values := range []map[string]any{
		{},
		{
			"passwordSecret": "secret", "env": map[string]any{"LDLM_LOG_LEVEL": "debug"}, "image": map[string]any{"tag": "1.2.3"},
			"storage": map[string]any{"className": "fast", "size": "5Gi"},
		},
	} {
		text := render(t, values)
		o, err := decode(text)
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		o.check(t)
		if o.set.Name != "locks" {
			t.Errorf("the release is called %s", o.set.Name)
		}
		if len(values) > 0 && (!strings.HasSuffix(o.set.Spec.Template.Spec.Containers[0].Image, ":1.2.3") || *o.set.Spec.VolumeClaimTemplates[0].Spec.StorageClassName != "fast") {
			t.Errorf("values without effect:\n%s", text)
		}
	}
}
