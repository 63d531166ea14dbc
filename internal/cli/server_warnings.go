package cli

import (
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/ldlm-io/ldlm/internal/config"
)

// fewDescriptors are too few for the connections that a server is there for.
const fewDescriptors = 4096

// warnOfDangers says what about a server is dangerous. It runs all the same: some
// images rely on that.
func warnOfDangers(log *slog.Logger, s *Server, settings *config.Server, admin net.Addr) {
	password := settings.Password != "" || settings.PasswordFile != ""
	guarded := password || settings.TokensFile != "" || settings.ClientCA != "" || settings.ClientCertVerify
	for _, a := range []net.Addr{s.Addr(), s.RESTAddr()} {
		switch {
		case !reachedFromElsewhere(a):
		case !guarded:
			log.Warn("No password is set: whoever reaches the address can take and release every lock", "address", a.String())
		case settings.TokensFile != "" && settings.TLSCert == "":
			log.Warn("Tokens travel in plain text: whoever sees the network learns them. Set tls_cert and tls_key", "address", a.String())
		case password && settings.TLSCert == "":
			log.Warn("Passwords travel in plain text: whoever sees the network learns them. Set tls_cert and tls_key", "address", a.String())
		}
	}
	if settings.ClusterPlaintext && settings.ClusterCA == "" {
		log.Warn("Members may speak in plain text, and whoever reaches their port can be one: give cluster_ca, cluster_cert and cluster_key")
	}
	if idle := idleSettings(settings); len(idle) > 0 {
		log.Warn("This server is alone: these settings have no effect without cluster_members, cluster_join or cluster_listen_address",
			"settings", strings.Join(idle, ", "))
	}
	if reachedFromElsewhere(admin) {
		log.Warn("The port for probes also gives profiles of the process, which show what is in memory: let only monitoring reach it", "address", admin.String())
	}
	for _, text := range exposedFiles(settings) {
		log.Warn(text)
	}
	if n, known := maxDescriptors(); known && n < fewDescriptors {
		log.Warn("Few files may be open at once, and each connection is one: raise LimitNOFILE of the service, or ulimit -n",
			"limit", n, "enough_for_most", fewDescriptors)
	}
}

// idleSettings names what is set about members though there are none.
func idleSettings(s *config.Server) []string {
	if !alone(s) {
		return nil
	}
	var all []string
	for _, o := range []struct{ name, value string }{
		{"member_name", s.MemberName}, {"cluster_advertise_address", s.ClusterAdvertiseAddress},
		{"cluster_ca", s.ClusterCA}, {"cluster_cert", s.ClusterCert}, {"cluster_key", s.ClusterKey},
	} {
		if o.value != "" {
			all = append(all, o.name)
		}
	}
	return all
}

// reachedFromElsewhere reports whether other machines reach an address.
func reachedFromElsewhere(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && !tcp.IP.IsLoopback()
}

// exposedFiles says which files of secrets everybody on this machine may read.
func exposedFiles(settings *config.Server) []string {
	if runtime.GOOS == "windows" {
		return nil // where rights are not those nine bits
	}
	files := map[string]string{"tls_key": settings.TLSKey, "cluster_key": settings.ClusterKey, "tokens_file": settings.TokensFile}
	for i, path := range strings.Split(settings.PasswordFile, ",") {
		files[fmt.Sprintf("password_file %d", i+1)] = strings.TrimSpace(path)
	}
	var all []string
	for _, option := range slices.Sorted(maps.Keys(files)) {
		info, err := os.Stat(files[option])
		const othersRead = 0o004
		if err == nil && info.Mode().Perm()&othersRead != 0 {
			name, _, _ := strings.Cut(option, " ")
			all = append(all, fmt.Sprintf("Everybody on this machine may read %s, %s: chmod o-r %[2]s", name, files[option]))
		}
	}
	return all
}
