export * from './codec/index';
export * from './downsample/index';
export * from './format/index';
export * from './head/index';
export * from './merge/index';
export * from './query/index';
export * from './scan/index';
