package archtest

// module is the path of this repository's module.
const module = "github.com/ldlm-io/ldlm"

// Modules of others, by the names that the rows use.
const (
	grpc      = "google.golang.org/grpc"
	protobuf  = "google.golang.org/protobuf"
	sys       = "golang.org/x/sys"
	cobra     = "github.com/spf13/cobra"
	pflag     = "github.com/spf13/pflag"
	yaml      = "go.yaml.in/yaml"
	term      = "golang.org/x/term"
	text      = "golang.org/x/text"
	raft      = "github.com/hashicorp/raft"
	raftWAL   = "github.com/hashicorp/raft-wal"
	hclog     = "github.com/hashicorp/go-hclog"
	redcon    = "github.com/tidwall/redcon"
	porcupine = "github.com/anishathalye/porcupine"
	metrics   = "github.com/prometheus/client_golang"
)

// A row says what the files of a package may import; files of tests are free to
// import what they test with (see testModules).
type row struct {
	// pkg is the package's folder below the root, "." for the root itself.
	// "cmd/*" stands for every folder in cmd.
	pkg string
	// own are the packages of this module that it may import; "*" means all.
	own []string
	// values are packages of which it may use values alone, and none of the
	// names in engines: of lock commands, outcomes, events and codes, of journal
	// the errors that say what is known of a command.
	values []string
	// modules are the modules of others that it may import packages of.
	modules []string
	// notStd are packages of the standard library that it may not import, nor
	// what lies below them.
	notStd []string
	// wires are packages of this module that only the files whose names begin
	// with one of wiring may import besides.
	wires, wiring []string
	// testing allows package testing: the package is for tests.
	testing bool
	// later marks a row of a package that is not built yet.
	later bool
	// why is the reason. A row without one fails.
	why string
}

// engines are the names of a package that values of it do not need. Who
// uses one holds the thing itself and not a description of it.
var engines = map[string][]string{
	"internal/lock":    {"Table", "New", "Restorer", "NewRestorer"},
	"internal/journal": {"Journal", "Machine", "Batch", "Entry"},
}

// testModules are the modules that test files may import besides what their
// package may: there is no assertion library among them.
var testModules = []string{
	"go.uber.org/goleak",
	"pgregory.net/rapid",
	porcupine,
	grpc, protobuf, sys,
}

// table is the house, read downwards: somebody speaks, a node decides when, a
// journal decides the order, the table of locks decides the answer.
var table = []row{
	{
		pkg:     ".",
		own:     []string{"api/v2", "internal/wire", "internal/clock"},
		modules: []string{grpc, protobuf},
		why:     "users compile the client into everything they have; it brings nothing of the server",
	},
	{
		pkg:     "client",
		own:     []string{"."},
		modules: []string{grpc},
		why:     "the old surface over the new client; gRPC for its DialOptions alone",
	},
	{
		pkg:     "ldlmtest",
		own:     []string{".", "api/v2", "internal/server", "internal/wire", "internal/lock"},
		values:  []string{"internal/lock"},
		modules: []string{grpc},
		testing: true,
		why:     "a server for users' tests, on a network in memory that drops what a test wants dropped",
	},
	{
		pkg:     "docs",
		testing: true,
		why:     "runs what the documents tell to type, as a user would",
	},
	{
		pkg:     "examples",
		testing: true,
		why:     "runs the examples; they are programs to it",
	},
	{
		pkg: "examples/internal/stage",
		why: "starts and kills processes; no example needs it for its locks",
	},
	{
		pkg: "examples/*",
		own: []string{".", "client", "examples/internal/stage"},
		why: "an example has what every user has: the public packages, and a stage for its proof",
	},
	{
		pkg:     "api/v1",
		modules: []string{grpc, protobuf},
		why:     "generated; nothing by hand",
	},
	{
		pkg:     "api/v2",
		modules: []string{grpc, protobuf},
		why:     "generated; nothing by hand",
	},
	{
		pkg: "cmd/*",
		own: []string{"internal/cli"},
		why: "a name and a few lines each",
	},
	{
		pkg:     "internal/cli",
		own:     []string{".", "internal/config", "internal/adminsock", "internal/supervise", "internal/document", "internal/load", "internal/proc", "internal/archive", "internal/nearest"},
		modules: []string{cobra, pflag, yaml, term, text},
		wires: []string{
			"internal/server", "internal/cluster", "internal/auth", "internal/certs", "internal/daemon", "internal/metrics", "internal/restapi", "internal/web",
			"internal/redisapi", "internal/journal/raftlog", "internal/statefile", "internal/wire", "internal/proc", "api/v2",
			"internal/audit", "internal/systemd", "internal/probe", "internal/unixsock", "internal/tokens", "internal/spool",
		},
		wiring: []string{"server", "dev", "cluster", "token"},
		why:    "the commands are users of the client, or of the socket; only those that run a server know its parts, and they only wire them",
	},
	{
		pkg:     "internal/overload",
		own:     []string{".", "api/v2", "internal/wire", "internal/server", "internal/proc"},
		modules: []string{grpc},
		why:     "a server, its load and others as three processes; it starts the server as any program does, and tells what was seen",
	},
	{
		pkg: "internal/accept",
		why: "keeps a port open when accepting fails for a while; it does not know what is served there",
	},
	{
		pkg: "internal/document",
		why: "what programs are told, as JSON: pure structs, filled in by whoever has something to tell",
	},
	{
		pkg: "internal/server",
		own: []string{
			"api/v2", "internal/grpcapi", "internal/restapi", "internal/sessionapi", "internal/wire", "internal/auth", "internal/certs", "internal/node",
			"internal/journal/memory", "internal/journal/raftlog", "internal/journal", "internal/lock", "internal/archive",
			"internal/audit", "internal/probe", "internal/cluster", "internal/accept",
		},
		values: []string{"internal/journal", "internal/lock"},
		why:    "puts the parts of a server together and fits the node to the interfaces that they want; nothing else",
	},
	{
		pkg:     "internal/config",
		own:     []string{"internal/shortfile", "internal/nearest"},
		modules: []string{pflag, yaml},
		why:     "flags, environment and file make one struct; it knows nothing that the struct configures",
	},
	{
		pkg:     "internal/wire",
		own:     []string{"api/v2"},
		modules: []string{protobuf, sys},
		why:     "frames on a connection, both ends, and how to wait for many: the client compiles it too",
	},
	{
		pkg:    "internal/sessionapi",
		own:    []string{"api/v2", "internal/wire", "internal/clock", "internal/lock", "internal/journal", "internal/audit", "internal/auth"},
		values: []string{"internal/lock", "internal/journal"},
		why:    "frames to commands and back; it sees the node through a small interface of its own",
	},
	{
		pkg:     "internal/supervise",
		modules: []string{sys},
		why:     "runs a program and leaves nothing of it behind; it does not know what a lock is",
	},
	{
		pkg:     "internal/clock",
		modules: []string{sys},
		why:     "elapsed time that counts suspend",
	},
	{
		pkg:     "internal/load",
		own:     []string{".", "api/v1"},
		modules: []string{grpc},
		why:     "work for a server, as its clients bring it, and how long it took",
	},
	{
		pkg:     "internal/proc",
		modules: []string{sys},
		why:     "what the system says of other processes",
	},
	{
		pkg: "internal/shortfile",
		why: "reads files that may be anything, and waits for none",
	},
	{
		pkg: "internal/auth",
		own: []string{"internal/audit"},
		why: "who may come in, and what it may do; it knows neither files, nor where a credential was found, nor how a refusal is worded there",
	},
	{
		pkg: "internal/tokens",
		own: []string{"internal/auth", "internal/nearest", "internal/shortfile"},
		why: "the file in which principals are written down; it does not know who asks them for what",
	},
	{
		pkg: "internal/nearest",
		why: "which word was probably meant",
	},
	{
		pkg: "internal/certs",
		own: []string{"internal/shortfile"},
		why: "the certificates of a server, as files that are replaced; it knows neither ports nor protocols",
	},
	{
		pkg:     "internal/certs/certstest",
		testing: true,
		why:     "certificates for tests",
	},
	{
		pkg:    "internal/audit",
		own:    []string{"internal/lock"},
		values: []string{"internal/lock"},
		why:    "who did what against whose will, as lines; whoever carries it out knows it and says so",
	},
	{
		pkg:     "internal/logtest",
		testing: true,
		why:     "what is logged, for tests to look at",
	},
	{
		pkg: "internal/spool",
		why: "lines on their way to whoever reads them, or does not; it does not know what they say",
	},
	{
		pkg: "internal/unixsock",
		why: "sockets that are files; it does not know what is spoken on them",
	},
	{
		pkg:     "internal/systemd",
		modules: []string{sys},
		why:     "what a service manager tells a process and is told; it does not know what the process does",
	},
	{
		pkg: "internal/probe",
		why: "whether a server lives and is ready, over HTTP; what that depends on is told by whoever knows",
	},
	{
		pkg:     "internal/metrics",
		modules: []string{metrics},
		later:   true,
		why:     "the one place that knows the metrics library",
	},
	{
		pkg:     "internal/grpcapi",
		own:     []string{"api/v1", "api/v2", "internal/lockv1", "internal/sessionapi", "internal/wire", "internal/lock", "internal/journal", "internal/audit", "internal/auth"},
		values:  []string{"internal/lock", "internal/journal"},
		modules: []string{grpc, protobuf},
		why:     "calls to commands and back, and the carrier of sessionapi's frames, as wire encodes them; it sees the node through a small interface of its own",
	},
	{
		pkg:     "internal/restapi",
		own:     []string{"api/v1", "internal/lockv1", "internal/lock", "internal/journal", "internal/audit", "internal/probe", "internal/auth"},
		values:  []string{"internal/lock", "internal/journal"},
		modules: []string{protobuf},
		why:     "as grpcapi, in HTTP and JSON",
	},
	{
		pkg:    "internal/lockv1",
		own:    []string{"api/v1", "internal/sessionapi", "internal/lock"},
		values: []string{"internal/lock"},
		why:    "the first protocol's questions and answers, for grpcapi and restapi alike",
	},
	{
		pkg:    "internal/adminsock",
		own:    []string{"internal/lock", "internal/unixsock", "internal/audit"},
		values: []string{"internal/lock"},
		why:    "as grpcapi, on the unix socket of ldlm-lock",
	},
	{
		pkg: "internal/archive",
		own: []string{"internal/document", "internal/journal/raftlog", "internal/lock", "internal/statefile"},
		why: "what servers left on disk, read and changed while they do not run: the engine's files as a table, the table as files",
	},
	{
		pkg: "internal/statefile",
		why: "reads what version 1 wrote; what becomes of it is for others to say",
	},
	{
		pkg:     "internal/redisapi",
		own:     []string{"internal/lock"},
		values:  []string{"internal/lock"},
		modules: []string{redcon},
		later:   true,
		why:     "as grpcapi, in the Redis protocol",
	},
	{
		pkg:   "internal/web",
		later: true,
		why:   "embedded files that speak to restapi as any browser would",
	},
	{
		pkg: "internal/node",
		own: []string{"internal/journal", "internal/lock", "internal/clock"},
		why: "the only one that knows both the journal and the table",
	},
	{
		pkg: "internal/cluster",
		why: "the port on which members speak, and who they are; it knows neither the journal nor what is asked",
	},
	{
		pkg:    "internal/journal",
		notStd: []string{"time", "os", "net", "sync"},
		why:    "a contract and no engine",
	},
	{
		pkg: "internal/journal/memory",
		own: []string{"internal/journal"},
		why: "passes commands on as values that it cannot look into",
	},
	{
		pkg:     "internal/journal/raftlog",
		own:     []string{"internal/journal"},
		modules: []string{raft, raftWAL, hclog, sys},
		why:     "the only one that knows the Raft library and its stores",
	},
	{
		pkg:     "internal/journal/raftlog/raftlogtest",
		own:     []string{"internal/journal", "internal/journal/raftlog"},
		modules: []string{raft},
		testing: true,
		why:     "a network in memory for journals of several members",
	},
	{
		pkg:     "internal/journal/journaltest",
		own:     []string{"internal/journal"},
		testing: true,
		why:     "one conformance suite for every engine",
	},
	{
		pkg: "internal/lock",
		notStd: []string{
			"time", "os", "io", "net", "sync", "context", "math/rand", "crypto/rand", "log", "runtime", "unsafe",
		},
		why: "the same commands give the same table everywhere: no clock, chance, I/O or goroutine",
	},
	{
		pkg: "internal/lock/faults",
		why: "breaks the source of the table and runs its tests; knows them as files alone",
	},
	{
		pkg:     "internal/sim",
		own:     []string{"*"},
		modules: testModules,
		testing: true,
		why:     "many nodes in a bad network; tests only",
	},
	{
		pkg:     "internal/verify",
		own:     []string{".", "api/v1", "internal/verify/history"},
		modules: []string{grpc, protobuf, sys},
		why:     "servers are programs to it, and its clients have what every user has",
	},
	{
		pkg:     "internal/verify/history",
		modules: []string{porcupine},
		why:     "judges records alone, whoever wrote them and whatever happened",
	},
	{
		pkg:     "internal/archtest",
		testing: true,
		why:     "reads source and imports nothing of ours",
	},
}
