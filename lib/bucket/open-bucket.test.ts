import { describe, expect, test } from '@jest/globals';
import { parseBucketUrl } from './open-bucket.js';

describe('the bucket setting', () => {
  test.each([
    ['file:./data/bucket', { kind: 'folder', folder: './data/bucket' }],
    ['file:/x', { kind: 'folder', folder: '/x' }],
    ['s3://metrics', { kind: 's3', bucket: 'metrics', prefix: '' }],
    ['s3://metrics/', { kind: 's3', bucket: 'metrics', prefix: '' }],
    ['s3://my.metrics-1/a/b/', { kind: 's3', bucket: 'my.metrics-1', prefix: 'a/b' }],
    ['file:', null],
    ['s3:x', null],
    ['s3://', null],
    ['s3://ab', null],
    ['s3://Metrics', null],
    ['s3://metrics/a//b', null],
    ['s3://metrics/../b', null],
    ['http://metrics', null],
  ])('%s', (text, expected) => {
    expect(parseBucketUrl(text)).toEqual(expected);
  });
});
