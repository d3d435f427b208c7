/** What a byte of `Block.present` says about an element. */
export const ELEMENT = { none: 0, float: 1, histogram: 2 } as const;
export type ElementKind = (typeof ELEMENT)[keyof typeof ELEMENT];
