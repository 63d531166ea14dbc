package check

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// objects are what a set of manifests has, by kind.
type objects struct {
	service *core.Service
	set     *apps.StatefulSet
	budget  *policy.PodDisruptionBudget
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
			o.service = &core.Service{}
			into = o.service
		case "apps/v1 StatefulSet":
			o.set = &apps.StatefulSet{}
			into = o.set
		case "policy/v1 PodDisruptionBudget":
			o.budget = &policy.PodDisruptionBudget{}
			into = o.budget
		default:
			return nil, fmt.Errorf("unexpected %+v", kind)
		}
		if err := yaml.UnmarshalStrict(doc, into); err != nil {
			return nil, fmt.Errorf("%s: %w", kind.Kind, err)
		}
	}
	return o, nil
}

func TestManifests(t *testing.T) {
	o, err := decode(read(t, "../kubernetes/ldlm.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	o.check(t)
}

// check holds objects against what the server needs and does.
func (o *objects) check(t *testing.T) {
	t.Helper()
	if o.service == nil || o.set == nil || o.budget == nil {
		t.Fatalf("something is missing: %+v", o)
	}
	if o.service.Spec.ClusterIP != core.ClusterIPNone || o.set.Spec.ServiceName != o.service.Name {
		t.Errorf("the service is %+v, the set's is %s", o.service.Spec, o.set.Spec.ServiceName)
	}
	pod := &o.set.Spec.Template
	for name, selector := range map[string]map[string]string{
		"service": o.service.Spec.Selector, "set": o.set.Spec.Selector.MatchLabels, "budget": o.budget.Spec.Selector.MatchLabels,
	} {
		for k, v := range selector {
			if pod.Labels[k] != v {
				t.Errorf("the %s selects %s=%s, which the pod has not", name, k, v)
			}
		}
	}
	c := &pod.Spec.Containers[0]
	if p := c.ReadinessProbe; p == nil || p.GRPC == nil || p.GRPC.Port != 3144 {
		t.Errorf("readiness: %+v", p)
	}
	if c.Lifecycle != nil {
		t.Error("a preStop besides shutdown_delay")
	}
	for _, m := range c.VolumeMounts {
		known := slices.ContainsFunc(pod.Spec.Volumes, func(v core.Volume) bool { return v.Name == m.Name }) ||
			slices.ContainsFunc(o.set.Spec.VolumeClaimTemplates, func(v core.PersistentVolumeClaim) bool { return v.Name == m.Name })
		if !known {
			t.Errorf("%s is mounted, and no volume", m.Name)
		}
	}
	s := c.SecurityContext
	if s == nil || *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || !*pod.Spec.SecurityContext.RunAsNonRoot {
		t.Errorf("it may do more than it needs: %+v", s)
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
