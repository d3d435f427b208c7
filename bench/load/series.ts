/**
 * The series of the benches: eight labels and about 240 bytes each on the wire, shaped like the ones of a node and
 * container fleet. Series `i` is a pure function of `i`, so every program gets the same ones in every run.
 */

export type Label = readonly [name: string, value: string];

/** How the values of a series move; a series has one kind for ever. */
export type ValueKind = 'counter' | 'gauge' | 'constant' | 'noise';

interface Family {
  readonly name: string;
  readonly kind: ValueKind;
}

// Three counters, three gauges, two constants and two with a full mantissa in ten.
const FAMILIES: readonly Family[] = [
  { name: 'node_cpu_seconds_total', kind: 'counter' },
  { name: 'node_network_receive_bytes_total', kind: 'counter' },
  { name: 'container_cpu_usage_seconds_total', kind: 'counter' },
  { name: 'node_memory_MemAvailable_bytes', kind: 'gauge' },
  { name: 'node_load1', kind: 'gauge' },
  { name: 'container_memory_working_set_bytes', kind: 'gauge' },
  { name: 'kube_pod_container_resource_limits', kind: 'constant' },
  { name: 'kube_pod_status_phase', kind: 'constant' },
  { name: 'http_request_duration_seconds_sum', kind: 'noise' },
  { name: 'node_hwmon_temp_celsius', kind: 'noise' },
];

/** Series per instance: all families once for each of ten modes. */
const SERIES_PER_INSTANCE = 100;

const NAMESPACES = ['monitoring', 'payments', 'checkout', 'search', 'kube-system'];
const JOBS = ['node-exporter', 'kubelet-cadvisor', 'kube-state-metrics'];

/** The labels of series `i`, sorted by name, `__name__` first as it sorts before lower-case names. */
export function labelsOf(index: number): Label[] {
  const instance = Math.floor(index / SERIES_PER_INSTANCE);
  const within = index % SERIES_PER_INSTANCE;
  const mode = Math.floor(within / FAMILIES.length);
  const host = `ip-10-${(instance >> 16) & 255}-${(instance >> 8) & 255}-${instance & 255}`;
  return [
    ['__name__', FAMILIES[within % FAMILIES.length]!.name],
    ['cluster', `prod-eu-west-${1 + (instance % 4)}`],
    ['container', `container-${mode}`],
    ['instance', `${host}.eu-west-1.compute.internal:9100`],
    ['job', JOBS[within % JOBS.length]!],
    ['mode', `mode-${mode}`],
    ['namespace', NAMESPACES[instance % NAMESPACES.length]!],
    ['pod', `app-${(instance * 2654435761) >>> 0}-${mode.toString(36)}x${(instance % 1296).toString(36)}`],
  ];
}

/** How the values of series `i` move. */
export function kindOf(index: number): ValueKind {
  return FAMILIES[(index % SERIES_PER_INSTANCE) % FAMILIES.length]!.kind;
}
