import type { FunctionSignature, ValueType } from './ast.js';

const LETTERS: Readonly<Record<string, ValueType>> = { s: 'scalar', v: 'vector', m: 'matrix', t: 'string' };

const signatures = new Map<string, FunctionSignature>();

/** `args` has one letter per argument: s scalar, v instant vector, m range vector, t string. */
function define(names: string, args: string, result: 's' | 'v', variadic = 0, experimental = false): void {
  for (const name of names.split(' ')) {
    const argTypes = [...args].map((letter) => LETTERS[letter]!);
    signatures.set(name, { name, argTypes, variadic, returnType: LETTERS[result]!, experimental });
  }
}

function defineExperimental(names: string, args: string, result: 's' | 'v', variadic = 0): void {
  define(names, args, result, variadic, true);
}

define(
  'abs acos acosh asin asinh atan atanh ceil cos cosh deg exp floor ln log10 log2 rad sgn sin sinh',
  'v',
  'v',
);
define('sqrt tan tanh absent sort sort_desc timestamp', 'v', 'v');
define('histogram_avg histogram_count histogram_sum histogram_stddev histogram_stdvar', 'v', 'v');
define('days_in_month day_of_month day_of_week day_of_year hour minute month year', 'v', 'v', 1);
define(
  'absent_over_time avg_over_time changes count_over_time delta deriv first_over_time idelta increase',
  'm',
  'v',
);
define('irate last_over_time max_over_time min_over_time present_over_time rate resets', 'm', 'v');
define('stddev_over_time stdvar_over_time sum_over_time', 'm', 'v');
define('scalar', 'v', 's');
define('vector', 's', 'v');
define('time pi', '', 's');
define('quantile_over_time', 'sm', 'v');
define('predict_linear', 'ms', 'v');
define('clamp', 'vss', 'v');
define('clamp_max clamp_min', 'vs', 'v');
define('round', 'vs', 'v', 1);
define('histogram_quantile', 'sv', 'v');
define('histogram_fraction', 'ssv', 'v');
define('label_replace', 'vtttt', 'v');
define('label_join', 'vttt', 'v', -1);
defineExperimental('mad_over_time ts_of_first_over_time ts_of_last_over_time', 'm', 'v');
defineExperimental('ts_of_max_over_time ts_of_min_over_time', 'm', 'v');
defineExperimental('double_exponential_smoothing', 'mss', 'v');
defineExperimental('histogram_quantiles', 'vtss', 'v', 9);
defineExperimental('sort_by_label sort_by_label_desc', 'vt', 'v', -1);
defineExperimental('start_timestamp', 'v', 'v');
defineExperimental('info', 'vv', 'v', 1);
defineExperimental('start end step range', '', 's');
defineExperimental('max_of min_of', 'ss', 's');

/** Every function of the language, experimental ones included, by name. */
export const FUNCTIONS: ReadonlyMap<string, FunctionSignature> = signatures;
