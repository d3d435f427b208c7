import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { CHART, EXAMPLES, helm, KUBE_VERSIONS, kubeCheck, render, template } from './chart/helm.js';
import { type LocalPod, startPod } from './chart/local-pod.js';
import { type Labels, matches, type PodSpec, type Rendered, type ServiceSpec } from './chart/objects.js';
import { havePeers, type Minio, startMinio } from './peers.js';
import { makeFolder, stopAll, waitFor } from './processes.js';

/**
 * The Helm chart with the real helm: linted, rendered for all example values, the objects held against the API
 * server's code (tools/kube-check) and against each other, and started as local processes that take and give a sample.
 */

const hasHelm = havePeers('helm');
const withHelm = hasHelm ? describe : describe.skip;
const withKubeCheck = hasHelm && havePeers('kubeCheck') ? describe : describe.skip;
const withMinio = hasHelm && havePeers('minio') ? describe : describe.skip;

/** Objects that the examples say are there already. */
const EXISTING = new Set([
  'Secret metrics-s3',
  'Secret varve-settings',
  'Secret more',
  'ConfigMap certificates',
]);

const EXISTING_CONFIG = `data_dir: /data
bucket: file:/data/bucket
http: {listen: ":9009"}
runtime_config: /etc/varve/runtime/overrides.yaml
`;

afterAll(stopAll);

withHelm('chart', () => {
  test.each(EXAMPLES)('%s is lint-free', (example) => {
    const { status, text } = helm('lint', '--strict', CHART, `--values=${join(CHART, 'ci', example)}`);
    expect(text).not.toMatch(/WARNING|ERROR/);
    expect(status).toBe(0);
  });

  test.each(EXAMPLES)('the objects of %s fit together', (example) => {
    checkReferences(render(example));
  });

  test.each([
    ['single.resorces.limits.memory=1Gi', 'resorces'],
    ['sinlge.persistence.size=1Gi', 'sinlge'],
    ['single.persistence.size=big', 'size'],
    ['single.persistence.sizes=1Gi', 'sizes'],
    ['single.replicas=2', 'replicas'],
    ['single.resources.limits.memory=1GiB', 'memory'],
    ['mode=distributed', 'mode'],
    ['storage.type=gcs', 'type'],
    ['storage.s3.endpoint=minio:9000', 'endpoint'],
    ['compactor.scratch.type=ram', 'type'],
    ['ingress.enabled=true', 'hosts'],
    ['config.data_dir=/elsewhere', 'data_dir'],
    ['single.extraArgs[0]=log-level=debug', 'extraArgs'],
    ['runtime.heapShare=30', 'heapShare'],
    ['monitoring.serviceMonitor.intervall=15s', 'intervall'],
    ['image.tagg=1', 'tagg'],
  ])('refuses %s', (setting, word) => {
    const { status, text } = template('default.yaml', KUBE_VERSIONS[1], [`--set=${setting}`]);
    expect(text).toContain("don't meet the specifications of the schema");
    expect(text).toContain(word);
    expect(status).not.toBe(0);
  });

  test.each([
    ['storage.type=s3', 'storage.s3.bucket is needed'],
    ['compactor.enabled=true', 'compactor.enabled needs storage.type s3'],
    ['storage.type=s3,storage.s3.bucket=b,storage.s3.accessKeyId=k', 'go together'],
    ['storage.type=s3,storage.s3.bucket=b,storage.s3.kmsKeyId=k', 'needs storage.s3.encryption'],
  ])('refuses %s, which does not go together', (setting, message) => {
    const { status, text } = template('default.yaml', KUBE_VERSIONS[1], [`--set=${setting}`]);
    expect(text).toContain(message);
    expect(status).not.toBe(0);
  });

  test('a changed setting restarts the pod, changed limits of a tenant do not', () => {
    const sumOf = (...flags: string[]) =>
      render('default.yaml', flags).workloads[0]!.spec.template.metadata.annotations['checksum/config'];
    expect(sumOf('--set=config.log.level=debug')).not.toBe(sumOf());
    expect(sumOf('--set=overrides.team-a.ingestion_rate=5')).toBe(sumOf());
  });

  test('what an upgrade must not touch stays when everything else changes', () => {
    const kept = (rendered: Rendered) => {
      const [{ metadata, spec }] = rendered.workloads as [Rendered['workloads'][number]];
      return { name: metadata.name, ...spec, template: null };
    };
    const changed = [
      '--set=config.log.level=debug',
      '--set-string=image.tag=9',
      '--set-string=single.podLabels.a=b',
    ];
    expect(kept(render('default.yaml', changed))).toEqual(kept(render('default.yaml')));
  });

  test('settings follow from the resources, and config replaces them', () => {
    const configOf = (...flags: string[]) =>
      parse(render('default.yaml', flags).get('ConfigMap', 'metrics-varve-config').data!['config.yaml']!);
    expect(
      configOf('--set=single.resources.limits.memory=8Gi,single.resources.limits.cpu=2500m'),
    ).toMatchObject({
      head: { memory_bytes_max: '4096MiB' },
      query: { concurrency: 3, max_memory_bytes: '1024MiB' },
      push: { max_inflight_bytes: '512MiB' },
      blocks: { cache_index_bytes: '512MiB', cache_chunks_bytes: '512MiB' },
    });
    expect(configOf('--set=config.query.concurrency=7').query).toEqual({
      concurrency: 7,
      max_memory_bytes: '512MiB',
    });
  });

  test('no secret of the values is in a ConfigMap', () => {
    const rendered = render('tenants.yaml');
    expect(JSON.stringify(rendered.all('ConfigMap'))).not.toContain('varvetestsecret');
    expect(rendered.get('Secret', 'metrics-varve-s3').stringData).toEqual({
      AWS_ACCESS_KEY_ID: 'varvetest',
      AWS_SECRET_ACCESS_KEY: 'varvetestsecret',
    });
  });
});

withKubeCheck('Kubernetes', () => {
  const rows = EXAMPLES.flatMap((example) => KUBE_VERSIONS.map((version) => [example, version] as const));
  test.each(rows)('takes the objects of %s, rendered for %s', (example, version) => {
    const { text } = template(example, version);
    const checked = kubeCheck(text);
    expect(checked.text).not.toContain('not checked');
    expect(checked.text).toMatch(/^\d+ objects checked, 0 refused\n$/);
    expect(checked.status).toBe(0);
  });

  test('would refuse a wrong field, value and privilege', () => {
    const { text } = template('default.yaml', KUBE_VERSIONS[1]);
    for (const [from, to] of [
      ['serviceName:', 'servicename:'],
      ['containerPort: 9009', 'containerPort: 90099'],
      ['runAsNonRoot: true', 'runAsNonRoot: false'],
    ] as const) {
      expect(kubeCheck(text.replaceAll(from, to)).status).toBe(1);
    }
  });
});

withMinio('rendered processes', () => {
  let minio: Minio | null = null;
  let pods: LocalPod[] = [];

  afterEach(async () => {
    for (const pod of pods) expect(await pod.stop()).toBe(0);
    pods = [];
  });

  test.each(EXAMPLES)('%s: every command line runs, and the test of the chart passes', async (example) => {
    minio ??= await startMinio();
    const rendered = render(example);
    const folder = makeFolder('chart');
    const prefix = example.replace('.yaml', '');
    for (const workload of rendered.workloads) {
      for (let i = 0; i < workload.spec.replicas; i++) {
        const name = `${workload.metadata.name}-${i}`;
        const place = { name, folder: join(folder, name), minio, prefix, existingConfig: EXISTING_CONFIG };
        pods.push(await startPod({ rendered, workload, ...place }));
      }
    }
    const [main, ...others] = pods as [LocalPod, ...LocalPod[]];

    runSmokeTest(example === 'existing-config.yaml' ? render('default.yaml') : rendered, folder, main.url);
    expect(await (await fetch(`${main.url}/runtime_config`)).text()).toMatch(
      example === 'tenants.yaml' || example === 'everything.yaml' ? 'team-a' : /overrides: \{\}/,
    );
    // Compactors and the process that does everything share the bucket.
    const seen = async (pod: LocalPod) => {
      const answer = await fetch(`${pod.url}/ring?format=json`);
      return ((await answer.json()) as { members: { id: string }[] }).members.map(({ id }) => id);
    };
    for (const pod of others) {
      await waitFor(`${pod.name} to see all`, async () => (await seen(pod)).length === pods.length, 60_000);
      expect(await seen(pod)).toEqual(expect.arrayContaining(others.map(({ name }) => name)));
    }
  });
});

/** Runs the rendered pod of `helm test` against a local process. */
function runSmokeTest(rendered: Rendered, folder: string, url: string): void {
  const pod = rendered.all('Pod')[0]!;
  const { command, args } = (pod.spec as PodSpec).containers[0]!;
  mkdirSync(join(folder, 'smoke'), { recursive: true });
  const script = join(folder, command![1]!);
  writeFileSync(script, rendered.get('ConfigMap', pod.metadata.name).data!['smoke.mjs']!);
  const words = [script, ...args!.map((word) => (word.startsWith('http://') ? url : word))];
  const { status, stdout, stderr } = spawnSync(process.execPath, words, { encoding: 'utf8' });
  expect(stdout + stderr).toMatch(/^wrote \d+ and read it back at /);
  expect(status).toBe(0);
}

/** Selectors, ports, names of other objects. */
function checkReferences(rendered: Rendered): void {
  const exists = (kind: string, name: string) => {
    if (!EXISTING.has(`${kind} ${name}`)) rendered.get(kind, name);
  };
  for (const { kind, metadata, spec } of rendered.workloads) {
    const pod = spec.template.spec;
    expect(rendered.selectedBy(spec.selector.matchLabels).map((one) => one.metadata.name)).toEqual([
      metadata.name,
    ]);
    if (pod.serviceAccountName !== 'metrics') exists('ServiceAccount', pod.serviceAccountName!);
    if (kind === 'StatefulSet') exists('Service', spec.serviceName!);
    for (const volume of pod.volumes ?? []) {
      if (volume.configMap !== undefined) exists('ConfigMap', volume.configMap.name);
      if (volume.secret !== undefined) exists('Secret', volume.secret.secretName);
    }
    for (const constraint of pod.topologySpreadConstraints ?? []) {
      expect(matches(constraint.labelSelector.matchLabels, spec.template.metadata.labels)).toBe(true);
    }
    const container = pod.containers.find(({ name }) => name === 'varve')!;
    expect(container.image).not.toMatch(/:latest$|:$/);
    expect(container.resources?.requests).toMatchObject({
      cpu: expect.anything(),
      memory: expect.anything(),
    });
    expect(container.securityContext?.readOnlyRootFilesystem).toBe(true);
    const ports = container.ports!.map(({ name }) => name);
    for (const probe of [container.startupProbe, container.readinessProbe, container.livenessProbe]) {
      expect(ports).toContain(probe!.httpGet.port);
    }
    for (const { valueFrom } of container.env ?? []) {
      if (valueFrom?.secretKeyRef !== undefined) exists('Secret', valueFrom.secretKeyRef.name);
    }
  }
  for (const service of rendered.all('Service')) {
    const { selector, ports } = service.spec as ServiceSpec;
    const selected = rendered.selectedBy(selector);
    expect(selected).toHaveLength(1);
    const open = selected[0]!.spec.template.spec.containers[0]!.ports!.map(({ name }) => name);
    for (const port of ports) expect(open).toContain(port.targetPort);
  }
  for (const budget of rendered.all('PodDisruptionBudget')) {
    const { selector } = budget.spec as { selector: { matchLabels: Labels } };
    expect(rendered.selectedBy(selector.matchLabels)).toHaveLength(1);
  }
  for (const policy of rendered.all('NetworkPolicy')) {
    const { podSelector } = policy.spec as { podSelector: { matchLabels: Labels } };
    expect(rendered.selectedBy(podSelector.matchLabels)).toEqual(rendered.workloads);
    // The pod of the test, too.
    const [smoke] = rendered.all('Pod');
    expect(matches(podSelector.matchLabels, smoke?.metadata.labels)).toBe(true);
  }
  for (const monitor of rendered.all('ServiceMonitor')) {
    type MonitorSpec = { selector: { matchLabels: Labels }; endpoints: { port: string }[] };
    const { selector, endpoints } = monitor.spec as MonitorSpec;
    const services = rendered
      .all('Service')
      .filter((one) => matches(selector.matchLabels, one.metadata.labels));
    // Two would be scraped twice.
    expect(services).toHaveLength(1);
    expect((services[0]!.spec as ServiceSpec).ports.map(({ name }) => name)).toContain(endpoints[0]!.port);
  }
  for (const ingress of rendered.all('Ingress')) {
    type Backend = { backend: { service: { name: string; port: { name: string } } } };
    const { rules } = ingress.spec as { rules: { http: { paths: Backend[] } }[] };
    for (const { backend } of rules.flatMap(({ http }) => http.paths)) {
      const { ports } = rendered.get('Service', backend.service.name).spec as ServiceSpec;
      expect(ports.map(({ name }) => name)).toContain(backend.service.port.name);
    }
  }
}
