package check

import (
	"maps"
	"reflect"
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
func render(t *testing.T, values map[string]any) ([]byte, error) {
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
		return nil, err
	}
	var docs []string
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		docs = append(docs, texts[name])
	}
	return []byte(strings.Join(docs, "\n---\n")), nil
}

// rendered are the objects of the chart.
func rendered(t *testing.T, values map[string]any) *objects {
	t.Helper()
	text, err := render(t, values)
	if err != nil {
		t.Fatal(err)
	}
	o, err := decode(text)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if o.set.Name != "locks" {
		t.Errorf("the release is called %s", o.set.Name)
	}
	return o
}

func TestChart(t *testing.T) {
	rendered(t, nil).check(t, 1)
	rendered(t, map[string]any{"members": 3}).check(t, 3)
	rendered(t, map[string]any{"members": 5}).check(t, 5)
	o := rendered(t, map[string]any{
		"passwordSecret": "secret", "filesSecret": "files", "env": map[string]any{"LDLM_LOG_LEVEL": "debug"},
		"image": map[string]any{"tag": "1.2.3"}, "storage": map[string]any{"className": "fast", "size": "5Gi"},
	})
	o.check(t, 1)
	c := &o.set.Spec.Template.Spec.Containers[0]
	if !strings.HasSuffix(c.Image, ":1.2.3") || *o.set.Spec.VolumeClaimTemplates[0].Spec.StorageClassName != "fast" || o.variable("LDLM_LOG_LEVEL") != "debug" {
		t.Errorf("values without effect: %+v", o.set)
	}
	if secrets := o.secrets(); !slices.Equal(secrets, []string{"files at /etc/ldlm/secrets"}) {
		t.Errorf("mounted are %q", secrets)
	}
}

// An even number of members is refused.
func TestChartOfTwo(t *testing.T) {
	if _, err := render(t, map[string]any{"members": 2}); err == nil || !strings.Contains(err.Error(), "members must be 1, 3 or 5") {
		t.Errorf("got %v", err)
	}
}

// The chart is the manifests with values: what a pod is told is the same but for the
// name of the release.
func TestChartFollowsTheManifests(t *testing.T) {
	for file, values := range map[string]map[string]any{"ldlm.yaml": nil, "cluster.yaml": {"members": 3}} {
		want, got := manifests(t, file), rendered(t, values)
		if a, b := want.addresses(), got.addresses(); !maps.Equal(a, b) {
			t.Errorf("%s: services are %v, the chart's %v", file, a, b)
		}
		a, b := &want.set.Spec.Template.Spec, &got.set.Spec.Template.Spec
		for _, v := range a.Containers[0].Env {
			if v.ValueFrom != nil && v.ValueFrom.SecretKeyRef != nil {
				continue // there is none unless the chart is told of one
			}
			if named := strings.NewReplacer("ldlm-", "locks-", ").ldlm", ").locks").Replace(v.Value); got.variable(v.Name) != named {
				t.Errorf("%s: %s is %q, the chart says %q", file, v.Name, named, got.variable(v.Name))
			}
		}
		for what, pair := range map[string][2]any{
			"ports":     {a.Containers[0].Ports, b.Containers[0].Ports},
			"readiness": {a.Containers[0].ReadinessProbe, b.Containers[0].ReadinessProbe},
			"liveness":  {a.Containers[0].LivenessProbe, b.Containers[0].LivenessProbe},
			"startup":   {a.Containers[0].StartupProbe, b.Containers[0].StartupProbe},
			"mounts":    {a.Containers[0].VolumeMounts, b.Containers[0].VolumeMounts},
			"rights":    {a.SecurityContext, b.SecurityContext},
			"grace":     {a.TerminationGracePeriodSeconds, b.TerminationGracePeriodSeconds},
			"container": {a.Containers[0].SecurityContext, b.Containers[0].SecurityContext},
			"means":     {a.Containers[0].Resources, b.Containers[0].Resources},
			"rollout":   {want.set.Spec.MinReadySeconds, got.set.Spec.MinReadySeconds},
			"order":     {want.set.Spec.PodManagementPolicy, got.set.Spec.PodManagementPolicy},
		} {
			if !reflect.DeepEqual(pair[0], pair[1]) {
				t.Errorf("%s: %s are %+v, the chart's %+v", file, what, pair[0], pair[1])
			}
		}
	}
}
