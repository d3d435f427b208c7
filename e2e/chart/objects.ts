/** The fields of Kubernetes objects that the tests of the chart look at; which others are allowed, kube-check knows. */

export type Labels = Readonly<Record<string, string>>;

export interface Variable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: {
    readonly fieldRef?: { readonly fieldPath: string };
    readonly secretKeyRef?: { readonly name: string; readonly key: string };
  };
}

export interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly Variable[];
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  readonly startupProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly livenessProbe?: Probe;
  readonly resources?: {
    readonly requests?: Record<string, string>;
    readonly limits?: Record<string, string>;
  };
  readonly securityContext?: { readonly readOnlyRootFilesystem?: boolean };
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[];
}

export interface PodSpec {
  readonly serviceAccountName?: string;
  readonly containers: readonly Container[];
  readonly volumes?: readonly {
    readonly name: string;
    readonly configMap?: { readonly name: string };
    readonly secret?: { readonly secretName: string };
  }[];
  readonly topologySpreadConstraints?: readonly {
    readonly labelSelector: { readonly matchLabels: Labels };
  }[];
}

export interface KubeObject {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels?: Labels; readonly annotations?: Labels };
  readonly data?: Readonly<Record<string, string>>;
  readonly stringData?: Readonly<Record<string, string>>;
  readonly spec?: unknown;
}

export interface WorkloadSpec {
  readonly replicas: number;
  readonly serviceName?: string;
  readonly selector: { readonly matchLabels: Labels };
  readonly template: {
    readonly metadata: { readonly labels: Labels; readonly annotations: Labels };
    readonly spec: PodSpec;
  };
  readonly volumeClaimTemplates?: readonly { readonly metadata: { readonly name: string } }[];
}

export interface ServiceSpec {
  readonly selector: Labels;
  readonly ports: readonly { readonly name: string; readonly port: number; readonly targetPort: string }[];
}

/** A StatefulSet or Deployment. */
export interface Workload extends KubeObject {
  readonly spec: WorkloadSpec;
}

/** What a chart rendered. */
export class Rendered {
  readonly objects: readonly KubeObject[];

  constructor(objects: readonly KubeObject[]) {
    this.objects = objects;
  }

  all(kind: string): readonly KubeObject[] {
    return this.objects.filter((object) => object.kind === kind);
  }

  /** The object of a kind and name. @throws when there is none. */
  get(kind: string, name: string): KubeObject {
    const found = this.find(kind, name);
    if (found === undefined) throw new Error(`no ${kind} ${name} was rendered`);
    return found;
  }

  find(kind: string, name: string): KubeObject | undefined {
    return this.all(kind).find((object) => object.metadata.name === name);
  }

  get workloads(): readonly Workload[] {
    return [...this.all('StatefulSet'), ...this.all('Deployment')] as Workload[];
  }

  /** Workloads whose pods a selector takes. */
  selectedBy(selector: Labels): readonly Workload[] {
    return this.workloads.filter(({ spec }) => matches(selector, spec.template.metadata.labels));
  }
}

/** Whether an object with these labels is selected; an empty selector would take everything and is none. */
export function matches(selector: Labels, labels: Labels = {}): boolean {
  const wanted = Object.entries(selector);
  return wanted.length > 0 && wanted.every(([name, value]) => labels[name] === value);
}
