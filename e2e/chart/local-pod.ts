import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Minio } from '../peers.js';
import { freePort, type Program, startProgram } from '../processes.js';
import { repositoryRoot } from '../varve.js';
import { imageEntryPoint } from './helm.js';
import type { Container, PodSpec, Rendered, Variable, Workload } from './objects.js';

export interface LocalPod extends Program {
  readonly name: string;
  readonly url: string;
}

export interface PodSetting {
  readonly rendered: Rendered;
  readonly workload: Workload;
  /** Name of the pod. */
  readonly name: string;
  /** Where its volumes go. */
  readonly folder: string;
  /** Stands for the S3 of the values; its bucket has a part of its own for each example. */
  readonly minio: Minio;
  readonly prefix: string;
  /** A configuration file for a secret that is not rendered. */
  readonly existingConfig: string;
}

/**
 * Starts the container `varve` of a workload's pod as a process: the image's entry point with the rendered arguments,
 * environment and files. Only what a machine of its own would give is replaced: folders, the port, the S3 server.
 */
export async function startPod(setting: PodSetting): Promise<LocalPod> {
  const { workload, folder, name } = setting;
  const spec = workload.spec.template.spec;
  const container = spec.containers.find((one) => one.name === 'varve')!;
  const paths = mountVolumes(setting, spec, container);
  const toLocal = (text: string) => paths.reduce((all, [from, to]) => all.replaceAll(from, to), text);
  for (const [, file, text] of configFiles(setting, spec, container))
    writeFileSync(toLocal(file), toLocal(text));

  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const [, script, ...rest] = imageEntryPoint();
  const usesS3 = [...configFiles(setting, spec, container)].some(([, , text]) => text.includes('s3://'));
  const program = await startProgram({
    name,
    folder,
    binary: process.execPath,
    args: [
      script!.replace('/app', repositoryRoot()),
      ...rest,
      ...(container.args ?? []).map(toLocal),
      `--http-listen=127.0.0.1:${port}`,
      ...(usesS3 ? s3Flags(setting) : []),
    ],
    readyUrl: `${url}${container.readinessProbe!.httpGet.path}`,
    env: environmentOf(setting, container.env ?? []),
  });
  return { ...program, name, url };
}

function s3Flags({ minio, prefix }: PodSetting): string[] {
  return [
    `--bucket=s3://${minio.bucket}/${prefix}`,
    `--s3-endpoint=${minio.url}`,
    '--s3-path-style=auto',
    '--s3-encryption=none',
    '--s3-kms-key-id=',
  ];
}

/** Makes a folder for each mount; pairs of path in the container and on this machine, longest first. */
function mountVolumes(setting: PodSetting, spec: PodSpec, container: Container): [string, string][] {
  const known = new Set([
    ...(spec.volumes ?? []).map((volume) => volume.name),
    ...(setting.workload.spec.volumeClaimTemplates ?? []).map((claim) => claim.metadata.name),
  ]);
  const pairs = (container.volumeMounts ?? []).map(({ name, mountPath }): [string, string] => {
    if (!known.has(name)) throw new Error(`volume ${name} is mounted and not there`);
    const local = join(setting.folder, 'root', mountPath);
    mkdirSync(local, { recursive: true });
    return [mountPath, local];
  });
  // /tmp may be part of the local folders.
  return pairs.filter(([path]) => path !== '/tmp').sort(([a], [b]) => b.length - a.length);
}

/** Files that ConfigMaps and the existing secret put into the container: volume, path, text. */
function configFiles(setting: PodSetting, spec: PodSpec, container: Container): [string, string, string][] {
  const files: [string, string, string][] = [];
  for (const volume of spec.volumes ?? []) {
    const mount = container.volumeMounts?.find(({ name }) => name === volume.name);
    if (mount === undefined) continue;
    if (volume.secret !== undefined) {
      files.push([volume.name, `${mount.mountPath}/config.yaml`, setting.existingConfig]);
    }
    const data = volume.configMap && setting.rendered.find('ConfigMap', volume.configMap.name)?.data;
    for (const [key, text] of Object.entries(data ?? {}))
      files.push([volume.name, `${mount.mountPath}/${key}`, text]);
  }
  return files;
}

function environmentOf(setting: PodSetting, variables: readonly Variable[]): Record<string, string> {
  // What the service account or the machine would give where the values name no keys.
  const environment: Record<string, string> = {
    AWS_ACCESS_KEY_ID: setting.minio.accessKey,
    AWS_SECRET_ACCESS_KEY: setting.minio.secretKey,
  };
  for (const { name, value, valueFrom } of variables) {
    const secret = valueFrom?.secretKeyRef;
    if (value !== undefined) environment[name] = value;
    else if (valueFrom?.fieldRef?.fieldPath === 'metadata.name') environment[name] = setting.name;
    else if (secret !== undefined) {
      const known = setting.rendered.find('Secret', secret.name)?.stringData?.[secret.key];
      if (known !== undefined) environment[name] = known;
    } else throw new Error(`variable ${name} has a source that the test does not know`);
  }
  return environment;
}
