import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { findPeer } from '../peers.js';
import { repositoryRoot } from '../varve.js';
import { type KubeObject, Rendered } from './objects.js';

export const CHART = join(repositoryRoot(), 'helm/varve');

/** Oldest and newest version of Kubernetes that charts are rendered for. */
export const KUBE_VERSIONS = ['1.27.0', '1.34.0'] as const;

/** File names of the example values. */
export const EXAMPLES: readonly string[] = readdirSync(join(CHART, 'ci')).sort();

export interface Output {
  readonly status: number;
  readonly text: string;
}

function run(binary: string, args: readonly string[], input = ''): Output {
  const { status, stdout, stderr } = spawnSync(binary, [...args], {
    encoding: 'utf8',
    input,
    maxBuffer: 2 ** 26,
  });
  return { status: status ?? -1, text: status === 0 ? stdout : stdout + stderr };
}

/** Runs helm. */
export function helm(...args: readonly string[]): Output {
  return run(findPeer('helm')!, args);
}

/** `helm template` with an example and further flags. */
export function template(example: string, kubeVersion: string, flags: readonly string[] = []): Output {
  const values = `--values=${join(CHART, 'ci', example)}`;
  return helm(
    'template',
    'metrics',
    CHART,
    '--namespace=monitoring',
    values,
    `--kube-version=${kubeVersion}`,
    ...flags,
  );
}

/** The objects of an example. @throws with helm's message when it cannot be rendered. */
export function render(example: string, flags: readonly string[] = []): Rendered {
  const { status, text } = template(example, KUBE_VERSIONS[1], flags);
  if (status !== 0) throw new Error(text);
  const documents = parseAllDocuments(text).map((document) => document.toJS() as KubeObject | null);
  return new Rendered(documents.filter((object) => object !== null));
}

/** Holds YAML documents against the API server's own code. */
export function kubeCheck(documents: string): Output {
  return run(findPeer('kubeCheck')!, [], documents);
}

/** The words of ENTRYPOINT in the Dockerfile. */
export function imageEntryPoint(): readonly string[] {
  const text = readFileSync(join(repositoryRoot(), 'Dockerfile'), 'utf8');
  return JSON.parse(/^ENTRYPOINT (\[.*\])$/m.exec(text)![1]!) as string[];
}
