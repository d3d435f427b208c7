/** Queries over what a Prometheus scrapes from itself and from a node exporter every second. */
export interface ComparedQuery {
  readonly query: string;
  /** The order of the series is part of the answer of an instant query. */
  readonly ordered?: boolean;
  /** An empty answer is right. */
  readonly mayBeEmpty?: boolean;
  /** Sub-milliseconds or not, this one cannot run as a range query. */
  readonly instantOnly?: boolean;
}

/** `AT` stands for a fixed time inside the data, in seconds. */
export const QUERIES: readonly ComparedQuery[] = [
  // selectors and matchers
  { query: 'up' },
  { query: 'node_load1{job="node"}' },
  { query: '{__name__=~"node_memory_(MemFree|MemTotal|Cached)_bytes"}' },
  { query: 'node_cpu_seconds_total{mode!~"idle|iowait", cpu="0"}' },
  { query: 'prometheus_http_requests_total{handler=~"/api/v1/.*|/metrics", code!=""}' },
  { query: 'node_load1{job="node-gone"}', mayBeEmpty: true },
  // rates and other counter functions
  { query: 'rate(node_cpu_seconds_total[20s])' },
  { query: 'irate(node_context_switches_total[10s])' },
  { query: 'increase(prometheus_tsdb_head_samples_appended_total[15s])' },
  { query: 'delta(node_memory_MemFree_bytes[20s])' },
  { query: 'idelta(go_goroutines[10s])' },
  { query: 'deriv(node_memory_MemAvailable_bytes[20s])' },
  { query: 'predict_linear(node_filesystem_avail_bytes[20s], 3600)', mayBeEmpty: true },
  { query: 'resets(process_cpu_seconds_total[20s]) + changes(process_cpu_seconds_total[20s])' },
  // over time
  { query: 'avg_over_time(node_load1[20s])' },
  { query: 'max_over_time(go_goroutines[20s]) - min_over_time(go_goroutines[20s])' },
  { query: 'sum_over_time(up[20s]) / count_over_time(up[20s])' },
  { query: 'stddev_over_time(node_memory_MemFree_bytes[15s])' },
  { query: 'quantile_over_time(0.9, go_memstats_alloc_bytes[20s])' },
  { query: 'last_over_time(node_time_seconds[5s]) + present_over_time(node_time_seconds[5s])' },
  // histograms
  {
    query:
      'histogram_quantile(0.95, sum by (le, handler) (rate(prometheus_http_request_duration_seconds_bucket[20s])))',
  },
  {
    query: 'histogram_quantile(0.5, prometheus_tsdb_compaction_chunk_range_seconds_bucket)',
    mayBeEmpty: true,
  },
  // aggregations
  { query: 'sum by (mode) (rate(node_cpu_seconds_total[10s]))' },
  { query: 'avg without (cpu) (node_cpu_seconds_total)' },
  { query: 'count({__name__=~"go_.+"}) by (__name__)' },
  { query: 'topk(3, node_cpu_seconds_total)', ordered: true },
  { query: 'bottomk(2, node_memory_MemTotal_bytes + node_memory_MemFree_bytes)', ordered: true },
  { query: 'quantile(0.75, node_cpu_seconds_total)' },
  { query: 'stddev(node_cpu_seconds_total) + stdvar(node_load1) * group(up)' },
  { query: 'count_values("value", up)' },
  // operators
  { query: 'node_memory_MemTotal_bytes - on (instance, job) node_memory_MemFree_bytes' },
  {
    query:
      'rate(node_cpu_seconds_total[20s]) / on (instance) group_left () sum by (instance) (rate(node_cpu_seconds_total[20s]))',
  },
  { query: 'node_cpu_seconds_total > 1 and on (cpu) node_cpu_seconds_total{mode="idle"}' },
  { query: 'up == bool 1 or absent(nothing_of_this_name)' },
  { query: 'go_goroutines unless go_goroutines{job="node"}' },
  { query: '-(node_load1 ^ 2) % 3' },
  // modifiers and subqueries
  { query: 'node_time_seconds - node_time_seconds offset 5s' },
  { query: 'rate(node_cpu_seconds_total{mode="idle"}[10s] @ AT)' },
  { query: 'go_goroutines @ end() - go_goroutines @ start()' },
  { query: 'max_over_time(rate(node_context_switches_total[5s])[15s:1s])' },
  { query: 'avg_over_time(sum(go_goroutines)[10s:])', mayBeEmpty: true },
  // labels, order, absence
  { query: 'label_replace(up, "host", "$1-$2", "instance", "(.*):(.*)")' },
  { query: 'label_join(up, "both", "/", "job", "instance")' },
  { query: 'sort_desc(node_filesystem_size_bytes)', mayBeEmpty: true, instantOnly: true },
  { query: 'sort(node_memory_MemTotal_bytes)', ordered: true, instantOnly: true },
  { query: 'absent(node_load1{job="nobody"}) + absent_over_time(node_load1{job="nobody"}[10s])' },
  // mathematics and dates
  { query: 'clamp(node_load1, 0.1, 5) + sqrt(node_load1) + ln(node_load1 + 1) + round(node_load5, 0.01)' },
  { query: 'ceil(exp(node_load1)) + floor(node_load5) + abs(-node_load15) + sgn(node_load1)' },
  {
    query:
      'hour(node_time_seconds) + minute(node_time_seconds) + day_of_week(node_time_seconds) + days_in_month(node_boot_time_seconds)',
  },
  { query: 'timestamp(node_load1) - time()' },
  { query: 'vector(time()) + scalar(sum(up))' },
  { query: 'node_uname_info * on (instance) group_right (release) go_info', mayBeEmpty: true },
];
