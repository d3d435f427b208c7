// kube-check reads Kubernetes objects as YAML from standard input and checks them with the code of the API server
// itself: strict decoding (unknown and repeated fields are errors), defaults, validation, and the pod security standard
// "restricted". Of the resources of the Prometheus operator the fields are checked; other custom resources are listed as
// not checked. It ends with 1 when an object would be refused.
package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/api/pod"
	"k8s.io/kubernetes/pkg/apis/apps"
	_ "k8s.io/kubernetes/pkg/apis/apps/install"
	appsvalidation "k8s.io/kubernetes/pkg/apis/apps/validation"
	_ "k8s.io/kubernetes/pkg/apis/batch/install"
	"k8s.io/kubernetes/pkg/apis/core"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	corevalidation "k8s.io/kubernetes/pkg/apis/core/validation"
	"k8s.io/kubernetes/pkg/apis/networking"
	_ "k8s.io/kubernetes/pkg/apis/networking/install"
	networkingvalidation "k8s.io/kubernetes/pkg/apis/networking/validation"
	"k8s.io/kubernetes/pkg/apis/policy"
	_ "k8s.io/kubernetes/pkg/apis/policy/install"
	policyvalidation "k8s.io/kubernetes/pkg/apis/policy/validation"
	_ "k8s.io/kubernetes/pkg/apis/rbac/install"
	securityapi "k8s.io/pod-security-admission/api"
	security "k8s.io/pod-security-admission/policy"
)

func main() {
	checked, failed := 0, 0
	if err := monitoring.AddToScheme(legacyscheme.Scheme); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	evaluator, err := security.NewEvaluator(security.DefaultChecks())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	reader := utilyaml.NewYAMLReader(bufio.NewReader(os.Stdin))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		name, problems := check(document, evaluator)
		if name == "" && len(problems) == 0 {
			continue
		}
		checked++
		for _, problem := range problems {
			fmt.Printf("%s: %s\n", name, problem)
		}
		if len(problems) > 0 {
			failed++
		}
	}
	fmt.Printf("%d objects checked, %d refused\n", checked, failed)
	if failed > 0 {
		os.Exit(1)
	}
}

// check returns the name of the object and what is wrong with it; no name for a document without an object.
func check(document []byte, evaluator security.Evaluator) (string, []string) {
	raw := map[string]any{}
	if err := utilyaml.Unmarshal(document, &raw); err != nil {
		return "document", []string{err.Error()}
	}
	if len(raw) == 0 {
		return "", nil
	}
	name := fmt.Sprintf("%v %v", raw["kind"], nameOf(raw))
	scheme := legacyscheme.Scheme
	serializer := json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme, scheme, json.SerializerOptions{Yaml: true, Strict: true})
	object, _, err := serializer.Decode(bytes.TrimSpace(document), nil, nil)
	if runtime.IsNotRegisteredError(err) {
		fmt.Printf("%s: not a kind of Kubernetes' own, not checked\n", name)
		return "", nil
	}
	if err != nil {
		return name, []string{err.Error()}
	}
	problems := secure(object, evaluator)
	accessor, err := meta.Accessor(object)
	if err != nil {
		return name, []string{err.Error()}
	}
	if accessor.GetNamespace() == "" {
		accessor.SetNamespace("default")
	}
	if isForeign(object) {
		return name, problems
	}
	scheme.Default(object)
	internal, err := scheme.UnsafeConvertToVersion(object, runtime.InternalGroupVersioner)
	if err != nil {
		return name, append(problems, err.Error())
	}
	list, known := validate(internal)
	if !known {
		problems = append(problems, "no validation for this kind; add it to kube-check")
	}
	for _, problem := range list {
		problems = append(problems, problem.Error())
	}
	return name, problems
}

// isForeign tells objects whose validation is not in Kubernetes.
func isForeign(object runtime.Object) bool {
	_, ok := object.(*monitoring.ServiceMonitor)
	return ok
}

func nameOf(raw map[string]any) any {
	if metadata, ok := raw["metadata"].(map[string]any); ok {
		return metadata["name"]
	}
	return "without metadata"
}

// validate does what the API server does when an object is created.
func validate(object runtime.Object) (field.ErrorList, bool) {
	switch o := object.(type) {
	case *apps.StatefulSet:
		return appsvalidation.ValidateStatefulSet(o, pod.GetValidationOptionsFromPodTemplate(&o.Spec.Template, nil)), true
	case *apps.Deployment:
		return appsvalidation.ValidateDeployment(o, pod.GetValidationOptionsFromPodTemplate(&o.Spec.Template, nil)), true
	case *core.Pod:
		return corevalidation.ValidatePodCreate(o, pod.GetValidationOptionsFromPodSpecAndMeta(&o.Spec, nil, &o.ObjectMeta, nil)), true
	case *core.Service:
		// Allocated before the validation.
		if o.Spec.ClusterIP != "" {
			o.Spec.ClusterIPs = []string{o.Spec.ClusterIP}
		}
		return corevalidation.ValidateServiceCreate(o), true
	case *core.ServiceAccount:
		return corevalidation.ValidateServiceAccount(o), true
	case *core.ConfigMap:
		return corevalidation.ValidateConfigMap(o), true
	case *core.Secret:
		return corevalidation.ValidateSecret(o), true
	case *networking.Ingress:
		return networkingvalidation.ValidateIngressCreate(o), true
	case *networking.NetworkPolicy:
		return networkingvalidation.ValidateNetworkPolicy(o, networkingvalidation.ValidationOptionsForNetworking(o, nil)), true
	case *policy.PodDisruptionBudget:
		return policyvalidation.ValidatePodDisruptionBudget(o, policyvalidation.PodDisruptionBudgetValidationOptions{}), true
	}
	return nil, false
}

// secure holds the pods of an object against the pod security standard "restricted".
func secure(object runtime.Object, evaluator security.Evaluator) []string {
	var metadata *metav1.ObjectMeta
	var spec *corev1.PodSpec
	switch o := object.(type) {
	case *corev1.Pod:
		metadata, spec = &o.ObjectMeta, &o.Spec
	case *appsv1.StatefulSet:
		metadata, spec = &o.Spec.Template.ObjectMeta, &o.Spec.Template.Spec
	case *appsv1.Deployment:
		metadata, spec = &o.Spec.Template.ObjectMeta, &o.Spec.Template.Spec
	case *batchv1.Job:
		metadata, spec = &o.Spec.Template.ObjectMeta, &o.Spec.Template.Spec
	default:
		return nil
	}
	restricted := securityapi.LevelVersion{Level: securityapi.LevelRestricted, Version: securityapi.LatestVersion()}
	problems := []string{}
	for _, result := range evaluator.EvaluatePod(restricted, metadata, spec) {
		if !result.Allowed {
			problems = append(problems, "not restricted: "+result.ForbiddenReason+": "+result.ForbiddenDetail)
		}
	}
	return problems
}
