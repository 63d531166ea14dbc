package config

import "time"

// Server is what `ldlm server` and ldlm-server can be told. [Bind] gives it its
// defaults.
//
// The order of the fields is that of templates and of the reference: first what
// version 1 had, in its order, then what came since.
type Server struct {
	ConfigFile File `name:"config_file" short:"c" env:"LDLM_CONFIG_FILE" group:"General" help:"file to read settings from: .yaml, .yml or .json"`
	Version    bool `name:"version" env:"LDLM_VERSION" group:"General" help:"show the version and exit"`
	Help       bool `name:"help" short:"h" group:"General" help:"show this help and exit"`

	LogLevel            Level         `name:"log_level" short:"v" default:"info" env:"LDLM_LOG_LEVEL" enum:"debug,info,warn,error" group:"General" help:"least level of the lines that are logged: debug, info, warn or error; read again on SIGHUP"`
	Shards              uint32        `name:"shards" default:"16" env:"LDLM_SHARDS" group:"Locks" help:"accepted for configurations of version 1, without effect"`
	LockGCInterval      time.Duration `name:"lock_gc_interval" short:"g" default:"30m0s" env:"LDLM_LOCK_GC_INTERVAL" group:"Locks" help:"time between collections of idle locks"`
	LockGCMinIdle       time.Duration `name:"lock_gc_min_idle" short:"m" default:"5m0s" env:"LDLM_LOCK_GC_MIN_IDLE" group:"Locks" help:"how long a lock must have been idle to be collected"`
	DefaultLockTimeout  time.Duration `name:"default_lock_timeout" short:"d" default:"10m0s" env:"LDLM_DEFAULT_LOCK_TIMEOUT" group:"Locks" help:"lock timeout given to locks that are loaded from the state file"`
	NoClearOnDisconnect bool          `name:"no_clear_on_disconnect" short:"n" env:"LDLM_NO_CLEAR_ON_DISCONNECT" group:"Locks" help:"keep the locks of a client of the first protocol when its connection ends"`
	IPCSocketFile       string        `name:"ipc_socket_file" default:"<platform specific>" env:"LDLM_IPC_SOCKET_FILE" group:"Network" help:"unix socket on which ldlm-lock reaches the server; '' turns it off"`
	StateFile           string        `name:"state_file" short:"s" env:"LDLM_STATE_FILE" group:"Locks" help:"file of version 1 in which locks survived a restart: they do so in a directory beside it, FILE.d, which takes over once what the file has; not together with data_dir"`
	KeepaliveInterval   time.Duration `name:"keepalive_interval" short:"k" default:"1m0s" env:"LDLM_KEEPALIVE_INTERVAL" group:"Network" help:"time between pings that ask a silent gRPC client whether it still lives; at least 1s"`
	KeepaliveTimeout    time.Duration `name:"keepalive_timeout" short:"t" default:"10s" env:"LDLM_KEEPALIVE_TIMEOUT" group:"Network" help:"time to wait for the answer to a ping before the connection is dropped"`
	ListenAddress       string        `name:"listen_address" short:"l" default:"localhost:3144" env:"LDLM_LISTEN_ADDRESS" group:"Network" help:"host:port on which to listen for clients, gRPC and native; or unix:PATH, a socket on this machine"`
	RESTListenAddress   string        `name:"rest_listen_address" short:"r" env:"LDLM_REST_LISTEN_ADDRESS" group:"Network" help:"host:port on which to listen for REST; '' is off"`
	RESTSessionTimeout  time.Duration `name:"rest_session_timeout" default:"10m0s" env:"LDLM_REST_SESSION_TIMEOUT" group:"Network" help:"how long a REST session may be idle before it ends"`
	TLSCert             string        `name:"tls_cert" env:"LDLM_TLS_CERT" group:"Security" help:"certificate of the server, a PEM file, which turns TLS on for gRPC, native and REST; a new file is read while the server runs"`
	TLSKey              string        `name:"tls_key" env:"LDLM_TLS_KEY" group:"Security" help:"key of the certificate, a PEM file without a passphrase"`
	ClientCertVerify    bool          `name:"client_cert_verify" env:"LDLM_CLIENT_CERT_VERIFY" group:"Security" help:"ask clients for a certificate: one signed by client_ca, or else by an authority that the system trusts"`
	ClientCA            string        `name:"client_ca" env:"LDLM_CLIENT_CA" group:"Security" help:"certificates that those of clients must be signed by, a PEM file; clients are then asked for one"`
	Password            string        `name:"password" env:"LDLM_PASSWORD" group:"Security" secret:"true" help:"password that clients must show; as a flag, every list of processes shows it"`

	PrintYAMLTemplate bool `name:"print_yaml_template" group:"General" hidden:"true" help:"print a configuration file with the settings in force and exit"`
	PrintEnvTemplate  bool `name:"print_env_template" group:"General" hidden:"true" help:"print variables with the settings in force and exit"`

	PasswordFile               string        `name:"password_file" env:"LDLM_PASSWORD_FILE" group:"Security" since:"2" help:"files of passwords, one a line, each of which is good; several files with commas between; read again on SIGHUP"`
	TokensFile                 string        `name:"tokens_file" env:"LDLM_TOKENS_FILE" group:"Security" since:"2" help:"file of principals, one a line: names, hashes of tokens, roles, names of locks, limits; see ldlm token create; read again on SIGHUP"`
	DataDir                    string        `name:"data_dir" env:"LDLM_DATA_DIR" group:"Locks" since:"2" help:"directory in which locks, queues and sessions survive a restart, also kill -9 and loss of power; made if it is missing; without it they end with the server"`
	QuietStart                 time.Duration `name:"quiet_start" default:"0s" env:"LDLM_QUIET_START" group:"Locks" since:"2" help:"how long a server that begins with nothing grants nothing, for the sake of clients that may still believe in locks of its last life: at least the longest ttl and lease that they ask for; without effect on a data directory with data"`
	AuditLog                   string        `name:"audit_log" env:"LDLM_AUDIT_LOG" group:"General" since:"2" help:"where it is written down who forces releases, kills sessions, resizes locks, is not let in or changes the configuration: a file, stderr or syslog; '' is off; a file is opened again on SIGHUP"`
	AdminListenAddress         string        `name:"admin_listen_address" env:"LDLM_ADMIN_LISTEN_ADDRESS" group:"Network" since:"2" help:"host:port, or unix:PATH, on which to answer /healthz, /readyz and /debug/pprof/, without a password; '' is off"`
	SocketMode                 string        `name:"socket_mode" default:"0660" env:"LDLM_SOCKET_MODE" group:"Network" since:"2" help:"rights of the file of a unix socket that a listen address names, in octal"`
	ShutdownDelay              time.Duration `name:"shutdown_delay" default:"0s" env:"LDLM_SHUTDOWN_DELAY" group:"General" since:"2" help:"how long the server still serves after SIGTERM while it says that it is not ready, so that whoever sends clients to it notices"`
	ShutdownTimeout            time.Duration `name:"shutdown_timeout" default:"10s" env:"LDLM_SHUTDOWN_TIMEOUT" group:"General" since:"2" help:"how long calls under way may hold up the end after that"`
	MaxSessions                uint32        `name:"max_sessions" default:"1000000" env:"LDLM_MAX_SESSIONS" group:"Limits" since:"2" help:"most sessions at one time"`
	MaxLocks                   uint32        `name:"max_locks" default:"10000000" env:"LDLM_MAX_LOCKS" group:"Limits" since:"2" help:"most locks that are known at one time; idle ones make room for others"`
	MaxWaiters                 uint32        `name:"max_waiters" default:"10000000" env:"LDLM_MAX_WAITERS" group:"Limits" since:"2" help:"most requests that wait at one time"`
	MaxWaitersPerLock          uint32        `name:"max_waiters_per_lock" default:"1000000" env:"LDLM_MAX_WAITERS_PER_LOCK" group:"Limits" since:"2" help:"most requests that wait for one lock"`
	MaxBytes                   uint64        `name:"max_bytes" default:"4294967296" env:"LDLM_MAX_BYTES" group:"Limits" since:"2" help:"most bytes that names of locks, notes, values and descriptions of clients take together"`
	MaxRESTConnections         uint32        `name:"max_rest_connections" default:"8192" env:"LDLM_MAX_REST_CONNECTIONS" group:"Limits" since:"2" help:"most connections for REST; beyond it the one that was quiet for longest is closed"`
	MaxConnections             uint32        `name:"max_connections" default:"0" env:"LDLM_MAX_CONNECTIONS" group:"Limits" since:"2" help:"most connections of clients at one time, but for REST, at this server; 0 is no limit but that on file descriptors"`
	LogFormat                  string        `name:"log_format" default:"auto" env:"LDLM_LOG_FORMAT" enum:"auto,json,text" group:"General" since:"2" help:"how lines are logged: json, text, or auto, which is text on a terminal and else json"`
	MaxSessionsPerPrincipal    uint32        `name:"max_sessions_per_principal" default:"0" env:"LDLM_MAX_SESSIONS_PER_PRINCIPAL" group:"Limits" since:"2" help:"most sessions of one principal for which the tokens file has no other limit; 0 is no limit"`
	MaxLocksPerPrincipal       uint32        `name:"max_locks_per_principal" default:"0" env:"LDLM_MAX_LOCKS_PER_PRINCIPAL" group:"Limits" since:"2" help:"most locks that one principal holds or waits for, likewise"`
	MaxWaitersPerPrincipal     uint32        `name:"max_waiters_per_principal" default:"0" env:"LDLM_MAX_WAITERS_PER_PRINCIPAL" group:"Limits" since:"2" help:"most requests of one principal that wait, likewise"`
	MaxConnectionsPerPrincipal uint32        `name:"max_connections_per_principal" default:"0" env:"LDLM_MAX_CONNECTIONS_PER_PRINCIPAL" group:"Limits" since:"2" help:"most connections of one principal at this server, likewise; those for REST do not count"`
	MaxBytesPerPrincipal       uint64        `name:"max_bytes_per_principal" default:"0" env:"LDLM_MAX_BYTES_PER_PRINCIPAL" group:"Limits" since:"2" help:"most bytes that names of locks, notes, values and descriptions of one principal take, likewise"`

	MemberName              string `name:"member_name" env:"LDLM_MEMBER_NAME" group:"Cluster" since:"2" help:"name of this member, unique in its cluster and for ever; default is that of the data directory, or local"`
	ClusterMembers          string `name:"cluster_members" env:"LDLM_CLUSTER_MEMBERS" group:"Cluster" since:"2" help:"members that a new cluster begins with, the same for all of them: a=host1:3147,b=host2:3147,c=host3:3147; without effect once there is data"`
	ClusterJoin             string `name:"cluster_join" env:"LDLM_CLUSTER_JOIN" group:"Cluster" since:"2" help:"host:port of any member of a cluster that this one is to join; it gets a vote when it has caught up"`
	ClusterListenAddress    string `name:"cluster_listen_address" env:"LDLM_CLUSTER_LISTEN_ADDRESS" group:"Cluster" since:"2" help:"host:port on which to listen for other members; the port is 3147 if none is given; default is this member's address in cluster_members"`
	ClusterAdvertiseAddress string `name:"cluster_advertise_address" env:"LDLM_CLUSTER_ADVERTISE_ADDRESS" group:"Cluster" since:"2" help:"host:port at which other members reach this one, if it is not what it listens on"`
	AdvertiseAddress        string `name:"advertise_address" env:"LDLM_ADVERTISE_ADDRESS" group:"Cluster" since:"2" help:"host:port at which clients reach this member, told to the clients of others; default is listen_address"`
	ClusterCA               string `name:"cluster_ca" env:"LDLM_CLUSTER_CA" group:"Cluster" since:"2" help:"certificate of the authority that has signed those of all members, a PEM file"`
	ClusterCert             string `name:"cluster_cert" env:"LDLM_CLUSTER_CERT" group:"Cluster" since:"2" help:"certificate of this member, a PEM file, which turns mutual TLS between members on"`
	ClusterKey              string `name:"cluster_key" env:"LDLM_CLUSTER_KEY" group:"Cluster" since:"2" help:"key of that certificate, a PEM file"`
	ClusterPlaintext        bool   `name:"cluster_plaintext" env:"LDLM_CLUSTER_PLAINTEXT" group:"Cluster" since:"2" help:"let members speak in plain text also where others can reach them"`
}

// Dev is what `ldlm dev` can be told: the little that matters for a server that
// is thrown away. It reads no environment, so that nothing that was set for a
// real server opens it to others.
type Dev struct {
	ListenAddress      string        `name:"listen_address" short:"l" default:"127.0.0.1:3144" group:"Network" help:"loopback address and port on which to listen for clients"`
	KeepaliveInterval  time.Duration `name:"keepalive_interval" short:"k" default:"1m0s" group:"Network" help:"time between pings that ask a silent gRPC client whether it still lives; at least 1s"`
	KeepaliveTimeout   time.Duration `name:"keepalive_timeout" short:"t" default:"10s" group:"Network" help:"time to wait for the answer to a ping before the connection is dropped"`
	RESTListenAddress  string        `name:"rest_listen_address" short:"r" default:"127.0.0.1:3145" group:"Network" help:"loopback address and port on which to listen for REST; '' is off"`
	AdminListenAddress string        `name:"admin_listen_address" default:"127.0.0.1:0" group:"Network" help:"loopback address and port on which to answer /healthz, /readyz and /debug/pprof/; '' is off, port 0 is any"`
	IPCSocketFile      string        `name:"ipc_socket_file" default:"<platform specific>" group:"Network" help:"unix socket on which ldlm-lock reaches the server; '' turns it off"`
	LogLevel           Level         `name:"log_level" short:"v" default:"warn" enum:"debug,info,warn,error" group:"General" help:"least level of the lines that are logged: debug, info, warn or error"`
	Help               bool          `name:"help" short:"h" group:"General" help:"show this help and exit"`
}
