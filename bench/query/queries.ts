/**
 * What a dashboard asks of the bench's series: cheap panels, wide aggregations, high-cardinality results, regular
 * expressions and a subquery. Instant ones are the single-value panels and the rules.
 */
export interface BenchQuery {
  readonly name: string;
  readonly query: string;
  readonly kind: 'range' | 'instant';
}

const range = (name: string, query: string): BenchQuery => ({ name, query, kind: 'range' });
const instant = (name: string, query: string): BenchQuery => ({ name, query, kind: 'instant' });

const ONE_HOST = 'instance="ip-10-0-0-7.eu-west-1.compute.internal:9100"';

export const QUERIES: readonly BenchQuery[] = [
  range('rate of one host', `rate(node_cpu_seconds_total{${ONE_HOST}}[5m])`),
  range('all series of one host', `{__name__=~"node_.+",${ONE_HOST}}`),
  range('gauge of one host', `node_load1{${ONE_HOST}} / 4`),
  range('total rate', 'sum(rate(node_cpu_seconds_total[5m]))'),
  range('rate by cluster', 'sum by (cluster) (rate(node_network_receive_bytes_total[5m]))'),
  range('rate by two labels', 'sum by (cluster, namespace) (rate(container_cpu_usage_seconds_total[2m]))'),
  range('rate without labels', 'avg without (pod, instance) (rate(node_cpu_seconds_total[1m]))'),
  // Full mantissas: among equal values each program may choose.
  range('top ten', 'topk(10, rate(http_request_duration_seconds_sum[5m]))'),
  range('maximum over time', 'max by (namespace) (max_over_time(node_load1[5m]))'),
  range(
    'average over time of one cluster',
    'avg(avg_over_time(node_hwmon_temp_celsius{cluster="prod-eu-west-2"}[10m]))',
  ),
  range('quantile', 'quantile by (cluster) (0.95, node_load1)'),
  range(
    'ratio of sums',
    'sum by (namespace) (container_memory_working_set_bytes) / sum by (namespace) (kube_pod_container_resource_limits)',
  ),
  range(
    'series by series',
    'node_memory_MemAvailable_bytes{cluster="prod-eu-west-1"} / on (pod) group_left () container_memory_working_set_bytes{cluster="prod-eu-west-1"}',
  ),
  range(
    'regular expression on hosts',
    'sum(rate(node_cpu_seconds_total{instance=~"ip-10-0-[0-2]-[1-4].*"}[5m]))',
  ),
  range('negated regular expression', 'count by (mode) (node_load1{mode!~"mode-[0-4]"})'),
  range('a thousand series to draw', 'rate(http_request_duration_seconds_sum{mode="mode-3"}[5m])'),
  range('subquery', 'max_over_time(sum(rate(node_network_receive_bytes_total{mode="mode-1"}[1m]))[5m:30s])'),
  range('comparison', 'count(node_load1 > 500000)'),
  instant('number of series', 'count({__name__!=""})'),
  instant('metric names', 'count by (__name__) ({__name__=~".+"})'),
  instant('total rate now', 'sum(rate(node_network_receive_bytes_total[5m]))'),
  instant('alert condition', 'avg_over_time(node_hwmon_temp_celsius[10m]) > 999900'),
  instant('last values of one metric', 'kube_pod_status_phase'),
  instant('constant', '1 + 1'),
];
