package config

import "time"

// Server is what `ldlm server` and ldlm-server can be told. [Bind] gives it its
// defaults.
type Server struct {
	ListenAddress     string        `name:"listen_address" short:"l" default:"localhost:3144" env:"LDLM_LISTEN_ADDRESS" group:"Network" help:"host:port on which to listen for clients, gRPC and native"`
	Password          string        `name:"password" env:"LDLM_PASSWORD" group:"Network" help:"password that clients must show; better set in the environment, where a list of processes does not show it"`
	KeepaliveInterval time.Duration `name:"keepalive_interval" short:"k" default:"1m0s" env:"LDLM_KEEPALIVE_INTERVAL" group:"Network" help:"time between pings that ask a silent gRPC client whether it still lives; at least 1s"`
	KeepaliveTimeout  time.Duration `name:"keepalive_timeout" short:"t" default:"10s" env:"LDLM_KEEPALIVE_TIMEOUT" group:"Network" help:"time to wait for the answer to a ping before the connection is dropped"`
	IPCSocketFile     string        `name:"ipc_socket_file" default:"<platform specific>" env:"LDLM_IPC_SOCKET_FILE" group:"Network" help:"unix socket on which ldlm-lock reaches the server; '' turns it off"`

	NoClearOnDisconnect bool          `name:"no_clear_on_disconnect" short:"n" env:"LDLM_NO_CLEAR_ON_DISCONNECT" group:"Locks" help:"keep the locks of a client of the first protocol when its connection ends"`
	LockGCInterval      time.Duration `name:"lock_gc_interval" short:"g" default:"30m0s" env:"LDLM_LOCK_GC_INTERVAL" group:"Locks" help:"time between collections of idle locks"`
	LockGCMinIdle       time.Duration `name:"lock_gc_min_idle" short:"m" default:"5m0s" env:"LDLM_LOCK_GC_MIN_IDLE" group:"Locks" help:"how long a lock must have been idle to be collected"`
	DefaultLockTimeout  time.Duration `name:"default_lock_timeout" short:"d" default:"10m0s" env:"LDLM_DEFAULT_LOCK_TIMEOUT" group:"Locks" help:"lock timeout given to locks that are loaded from the state file"`
	StateFile           string        `name:"state_file" short:"s" env:"LDLM_STATE_FILE" group:"Locks" help:"file in which locks survive a restart; not built yet, the server refuses to start with one"`
	Shards              uint32        `name:"shards" default:"16" env:"LDLM_SHARDS" group:"Locks" help:"accepted for configurations of version 1, without effect"`

	LogLevel Level `name:"log_level" short:"v" default:"info" env:"LDLM_LOG_LEVEL" enum:"debug,info,warn,error" group:"General" help:"least level of the lines that are logged: debug, info, warn or error"`
	Version  bool  `name:"version" env:"LDLM_VERSION" group:"General" help:"show the version and exit"`
	Help     bool  `name:"help" short:"h" group:"General" help:"show this help and exit"`
}

// Dev is what `ldlm dev` can be told: the little that matters for a server that
// is thrown away. It reads no environment, so that nothing that was set for a
// real server opens it to others.
type Dev struct {
	ListenAddress     string        `name:"listen_address" short:"l" default:"127.0.0.1:3144" group:"Network" help:"loopback address and port on which to listen for clients"`
	KeepaliveInterval time.Duration `name:"keepalive_interval" short:"k" default:"1m0s" group:"Network" help:"time between pings that ask a silent gRPC client whether it still lives; at least 1s"`
	KeepaliveTimeout  time.Duration `name:"keepalive_timeout" short:"t" default:"10s" group:"Network" help:"time to wait for the answer to a ping before the connection is dropped"`
	IPCSocketFile     string        `name:"ipc_socket_file" default:"<platform specific>" group:"Network" help:"unix socket on which ldlm-lock reaches the server; '' turns it off"`
	LogLevel          Level         `name:"log_level" short:"v" default:"warn" enum:"debug,info,warn,error" group:"General" help:"least level of the lines that are logged: debug, info, warn or error"`
	Help              bool          `name:"help" short:"h" group:"General" help:"show this help and exit"`
}
