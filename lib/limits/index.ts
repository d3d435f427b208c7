export { DEFAULT_LIMITS, type Limits, limitsSchema } from './limits.js';
export { type LimitsProvider, parseOverrides, TenantLimits } from './overrides.js';
export { parseRetentionRules, type RetentionRule } from './retention-rules.js';
