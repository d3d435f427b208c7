import { describe, expect, test } from '@jest/globals';
import { silentLogger } from '../telemetry/index.js';
import { type Module, ServiceGroup } from './service.js';

function recorder() {
  const events: string[] = [];
  const module = (name: string, needs: string[], fails: 'start' | 'stop' | 'never' = 'never'): Module => ({
    name,
    needs,
    service: {
      start: async () => {
        events.push(`+${name}`);
        if (fails === 'start') throw new Error(`${name} is broken`);
      },
      stop: async () => {
        events.push(`-${name}`);
        if (fails === 'stop') throw new Error(`${name} is stuck`);
      },
    },
  });
  return { events, module };
}

describe('ServiceGroup', () => {
  test('starts after what is needed and stops backwards', async () => {
    const { events, module } = recorder();
    const group = new ServiceGroup([module('c', ['b']), module('a', []), module('b', ['a'])], silentLogger);
    expect(group.state).toBe('new');
    await group.start();
    expect(group.state).toBe('running');
    expect(await group.stop()).toBe(true);
    expect(group.state).toBe('stopped');
    expect(events).toEqual(['+a', '+b', '+c', '-c', '-b', '-a']);
  });

  test('stops what ran when a later module fails', async () => {
    const { events, module } = recorder();
    const group = new ServiceGroup(
      [module('a', []), module('b', ['a'], 'start'), module('c', ['b'])],
      silentLogger,
    );
    await expect(group.start()).rejects.toThrow('b is broken');
    expect(events).toEqual(['+a', '+b', '-b', '-a']);
  });

  test('stops the others when one does not stop', async () => {
    const { events, module } = recorder();
    const group = new ServiceGroup([module('a', []), module('b', ['a'], 'stop')], silentLogger);
    await group.start();
    expect(await group.stop()).toBe(false);
    expect(events.slice(2)).toEqual(['-b', '-a']);
  });

  test.each([
    [[['a', ['x']]], 'module a needs x, which does not exist'],
    [
      [
        ['a', ['b']],
        ['b', ['a']],
      ],
      'modules need each other: a -> b -> a',
    ],
  ] as const)('refuses the table %j', (table, message) => {
    const { module } = recorder();
    const modules = table.map(([name, needs]) => module(name, [...needs]));
    expect(() => new ServiceGroup(modules, silentLogger)).toThrow(message);
  });
});
