import { describe, expect, test } from '@jest/globals';
import { tenantOfHeader } from './tenant.js';

const ON = { multitenancy: true, defaultTenant: 'anonymous' };

describe('tenantOfHeader', () => {
  test.each(['a', 'team-1', "A.b_c!*'()", 'x'.repeat(150), '...'])('accepts %j', (id) => {
    expect(tenantOfHeader(id, ON)).toBe(id);
  });

  test.each([
    [undefined, 'tenant-missing'],
    ['', 'tenant-missing'],
    ['../x', 'tenant-invalid'],
    ['a/b', 'tenant-invalid'],
    ['a\\b', 'tenant-invalid'],
    ['.', 'tenant-invalid'],
    ['..', 'tenant-invalid'],
    ['__markers__', 'tenant-invalid'],
    ['x'.repeat(151), 'tenant-invalid'],
    ['a|b', 'tenant-invalid'],
    ['größe', 'tenant-invalid'],
    ['a\n', 'tenant-invalid'],
    ['a b', 'tenant-invalid'],
    ['a, b', 'tenant-invalid'],
  ])('refuses %j with %s', (values, code) => {
    expect(() => tenantOfHeader(values, ON)).toThrow(expect.objectContaining({ kind: 'client', code }));
  });

  test('ignores the header while multitenancy is off', () => {
    expect(tenantOfHeader('../x', { ...ON, multitenancy: false })).toBe('anonymous');
  });
});
