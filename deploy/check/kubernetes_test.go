package check

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	network "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// objects are what a set of manifests has, by kind.
type objects struct {
	services []*core.Service
	set      *apps.StatefulSet
	budget   *policy.PodDisruptionBudget
	policy   *network.NetworkPolicy
}

// decode reads manifests; what no type knows is refused.
func decode(manifests []byte) (*objects, error) {
	o := &objects{}
	for doc := range bytes.SplitSeq(manifests, []byte("\n---\n")) {
		var kind meta.TypeMeta
		if err := yaml.Unmarshal(doc, &kind); err != nil {
			return nil, err
		}
		var into any
		switch kind.APIVersion + " " + kind.Kind {
		case "v1 Service":
			s := &core.Service{}
			o.services = append(o.services, s)
			into = s
		case "apps/v1 StatefulSet":
			o.set = &apps.StatefulSet{}
			into = o.set
		case "policy/v1 PodDisruptionBudget":
			o.budget = &policy.PodDisruptionBudget{}
			into = o.budget
		case "networking.k8s.io/v1 NetworkPolicy":
			o.policy = &network.NetworkPolicy{}
			into = o.policy
		default:
			return nil, fmt.Errorf("unexpected %+v", kind)
		}
		if err := yaml.UnmarshalStrict(doc, into); err != nil {
			return nil, fmt.Errorf("%s: %w", kind.Kind, err)
		}
	}
	return o, nil
}

// manifests decodes a file of them.
func manifests(t *testing.T, file string) *objects {
	t.Helper()
	o, err := decode(read(t, "../kubernetes/"+file))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestManifests(t *testing.T) {
	manifests(t, "ldlm.yaml").check(t, 1)
	manifests(t, "cluster.yaml").check(t, 3)
}

// check holds objects against what so many members need and do.
func (o *objects) check(t *testing.T, members int32) {
	t.Helper()
	if len(o.services) == 0 || o.set == nil || o.budget == nil || o.policy == nil {
		t.Fatalf("something is missing: %+v", o)
	}
	o.checkServices(t)
	o.checkSelectors(t)
	o.checkMembers(t, members)
	o.checkEnd(t)
	o.checkProbes(t)
	o.checkVolumes(t)
	pod := &o.set.Spec.Template.Spec
	s := pod.Containers[0].SecurityContext
	if s == nil || *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || !*pod.SecurityContext.RunAsNonRoot || *pod.AutomountServiceAccountToken {
		t.Errorf("it may do more than it needs: %+v", s)
	}
	if *pod.EnableServiceLinks {
		t.Error("variables of services are in the environment")
	}
}

// addresses are what the services answer, by what each is for: whether they are those of
// pods, and of pods that are not ready too.
func (o *objects) addresses() map[string][2]bool {
	all := map[string][2]bool{}
	for _, s := range o.services {
		what := "clients"
		if s.Name != o.set.Name {
			what = "members"
		}
		all[what] = [2]bool{s.Spec.ClusterIP == core.ClusterIPNone, s.Spec.PublishNotReadyAddresses}
	}
	return all
}

// secrets are those that are mounted whole, and where.
func (o *objects) secrets() []string {
	var all []string
	pod := &o.set.Spec.Template.Spec
	for _, v := range pod.Volumes {
		for _, m := range pod.Containers[0].VolumeMounts {
			if v.Secret != nil && v.Name == m.Name {
				all = append(all, v.Secret.SecretName+" at "+m.MountPath)
			}
		}
	}
	return all
}

// checkServices: members have names before they are ready, clients are sent to none that
// is not, and ports are the pod's.
func (o *objects) checkServices(t *testing.T) {
	t.Helper()
	headless := false
	for _, s := range o.services {
		if s.Name == o.set.Spec.ServiceName {
			headless = s.Spec.ClusterIP == core.ClusterIPNone && (len(o.services) == 1 || s.Spec.PublishNotReadyAddresses)
		}
		for _, p := range s.Spec.Ports {
			if own := o.port(p.TargetPort.StrVal); own != p.Port {
				t.Errorf("port %d of service %s goes to %s, which is %d", p.Port, s.Name, p.TargetPort.StrVal, own)
			}
		}
	}
	if !headless {
		t.Errorf("the set's service is %s, and it gives pods no names", o.set.Spec.ServiceName)
	}
	if answers, known := o.addresses()["clients"]; !known || answers[1] {
		t.Error("clients are sent to pods that are not ready")
	}
	for _, rule := range o.policy.Spec.Ingress {
		for _, p := range rule.Ports {
			if name := p.Port.StrVal; o.port(name) == 0 || name == "admin" || name == "members" && len(rule.From) == 0 {
				t.Errorf("the policy lets %+v in, to %s", rule.From, name)
			}
		}
	}
}

// port is the port of the container with a name, 0 for none.
func (o *objects) port(name string) int32 {
	for _, p := range o.set.Spec.Template.Spec.Containers[0].Ports {
		if p.Name == name {
			return p.ContainerPort
		}
	}
	return 0
}

func (o *objects) checkSelectors(t *testing.T) {
	t.Helper()
	pod := o.set.Spec.Template.Labels
	all := map[string]map[string]string{
		"set": o.set.Spec.Selector.MatchLabels, "budget": o.budget.Spec.Selector.MatchLabels, "policy": o.policy.Spec.PodSelector.MatchLabels,
	}
	for _, s := range o.services {
		all["service "+s.Name] = s.Spec.Selector
	}
	for i := range o.set.Spec.Template.Spec.TopologySpreadConstraints {
		all[fmt.Sprint("spread ", i)] = o.set.Spec.Template.Spec.TopologySpreadConstraints[i].LabelSelector.MatchLabels
	}
	for name, selector := range all {
		if len(selector) == 0 {
			t.Errorf("the %s selects everything", name)
		}
		for k, v := range selector {
			if pod[k] != v {
				t.Errorf("the %s selects %s=%s, which the pod has not", name, k, v)
			}
		}
	}
}

// checkMembers: several start at once, apart from each other, and one at a time may
// be away.
func (o *objects) checkMembers(t *testing.T, members int32) {
	t.Helper()
	away, spread := int32(0), 0
	if members > 1 {
		away, spread = 1, 2
		if o.set.Spec.PodManagementPolicy != apps.ParallelPodManagement {
			t.Error("the first member waits for a majority that waits for the first member")
		}
		if list := o.variable("LDLM_CLUSTER_MEMBERS"); strings.Count(list, "=") != int(members) {
			t.Errorf("the cluster begins with %s", list)
		}
	}
	if *o.set.Spec.Replicas != members || o.budget.Spec.MaxUnavailable.IntVal != away {
		t.Errorf("%d members, of which %d may be away", *o.set.Spec.Replicas, o.budget.Spec.MaxUnavailable.IntVal)
	}
	if n := len(o.set.Spec.Template.Spec.TopologySpreadConstraints); n != spread {
		t.Errorf("%d rules spread the members", n)
	}
}

// variable is the value of a variable, as it is written.
func (o *objects) variable(name string) string {
	for _, v := range o.set.Spec.Template.Spec.Containers[0].Env {
		if v.Name == name {
			return v.Value
		}
	}
	return ""
}

// shutdownTimeout is the server's default.
const shutdownTimeout = 10 * time.Second

// checkEnd: the pod is not killed while it ends in order, and others wait nowhere but
// in shutdown_delay.
func (o *objects) checkEnd(t *testing.T) {
	t.Helper()
	pod := &o.set.Spec.Template.Spec
	delay, err := time.ParseDuration(o.variable("LDLM_SHUTDOWN_DELAY"))
	if err != nil || delay <= 0 {
		t.Errorf("shutdown_delay %v: %v", delay, err)
	}
	const spare = 5 * time.Second
	if grace := time.Duration(*pod.TerminationGracePeriodSeconds) * time.Second; grace < delay+shutdownTimeout+spare {
		t.Errorf("it is killed after %v", grace)
	}
	if pod.Containers[0].Lifecycle != nil {
		t.Error("a preStop besides shutdown_delay")
	}
}

// checkProbes: they ask the port that never has TLS or a password.
func (o *objects) checkProbes(t *testing.T) {
	t.Helper()
	c := &o.set.Spec.Template.Spec.Containers[0]
	for path, probe := range map[string]*core.Probe{"/readyz": c.ReadinessProbe, "/healthz": c.LivenessProbe} {
		if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != path || probe.HTTPGet.Port.StrVal != "admin" {
			t.Errorf("%s is probed by %+v", path, probe)
		}
	}
	if s := c.StartupProbe; s == nil || s.HTTPGet.Path != "/healthz" || s.FailureThreshold*s.PeriodSeconds < 300 {
		t.Errorf("a long start is probed by %+v", s)
	}
	for variable, name := range map[string]string{
		"LDLM_ADMIN_LISTEN_ADDRESS": "admin", "LDLM_LISTEN_ADDRESS": "grpc", "LDLM_REST_LISTEN_ADDRESS": "rest",
	} {
		if want := fmt.Sprint("0.0.0.0:", o.port(name)); o.variable(variable) != want {
			t.Errorf("%s is %q, and the port %s", variable, o.variable(variable), want)
		}
	}
}

func (o *objects) checkVolumes(t *testing.T) {
	t.Helper()
	pod := &o.set.Spec.Template.Spec
	for _, m := range pod.Containers[0].VolumeMounts {
		known := slices.ContainsFunc(pod.Volumes, func(v core.Volume) bool { return v.Name == m.Name }) ||
			slices.ContainsFunc(o.set.Spec.VolumeClaimTemplates, func(v core.PersistentVolumeClaim) bool { return v.Name == m.Name })
		if !known {
			t.Errorf("%s is mounted, and no volume", m.Name)
		}
	}
}

// Strict decoding must refuse what is misspelt.
func TestDecodingBites(t *testing.T) {
	good := string(read(t, "../kubernetes/ldlm.yaml"))
	for _, bad := range []string{
		strings.Replace(good, "readinessProbe", "readynessProbe", 1), strings.Replace(good, "replicas: 1", "replicas: one", 1),
	} {
		if _, err := decode([]byte(bad)); err == nil {
			t.Error("taken")
		}
	}
}
