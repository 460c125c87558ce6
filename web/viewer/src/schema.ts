//! Shapes of JSON, written once: a shape is the check at run time and the type at compile time. What a shape does not name is
//! let through unread, so that an older page understands a newer server.

export type Check<T> = (value: unknown) => value is T;
interface Optional<T> {
  readonly optional: Check<T>;
}
type Fields = Readonly<Record<string, Check<any> | Optional<any>>>;
type Flat<T> = { [K in keyof T]: T[K] };
type Shape<F extends Fields> = Flat<
  { [K in keyof F as F[K] extends Optional<any> ? never : K]: F[K] extends Check<infer T> ? T : never } & {
    [K in keyof F as F[K] extends Optional<any> ? K : never]?: F[K] extends Optional<infer T> ? T : never;
  }
>;
type Messages<M extends Record<string, Fields>> = { [T in keyof M]: Flat<{ type: T } & Shape<M[T]>> }[keyof M];

export type Checked<C> = C extends Check<infer T> ? T : never;

export const text: Check<string> = (value) => typeof value === 'string';
export const flag: Check<boolean> = (value) => typeof value === 'boolean';
export const number: Check<number> = (value) => typeof value === 'number';
export const anything: Check<unknown> = (_): _ is unknown => true;
/** Whatever JSON can hold. */
export const json: Check<unknown> = (value): value is unknown =>
  ['string', 'boolean', 'number', 'object'].includes(typeof value);

export function oneOf<const T extends readonly string[]>(...words: T): Check<T[number]> {
  return (value): value is T[number] => words.includes(value as string);
}

export function list<T>(item: Check<T>): Check<T[]> {
  return (value): value is T[] => Array.isArray(value) && value.every(item);
}

export function optional<T>(check: Check<T>): Optional<T> {
  return { optional: check };
}

export function object<F extends Fields>(fields: F): Check<Shape<F>> {
  return (value): value is Shape<F> =>
    typeof value === 'object' &&
    value !== null &&
    Object.entries(fields).every(([name, field]) => {
      const found = (value as Record<string, unknown>)[name];
      return typeof field === 'function' ? field(found) : found === undefined || field.optional(found);
    });
}

/** Messages told apart by `type`. */
export function messages<const M extends Record<string, Fields>>(shapes: M): Check<Messages<M>> {
  const checks = new Map(Object.entries(shapes).map(([type, fields]) => [type, object(fields)]));
  return (value): value is Messages<M> => {
    const check = checks.get((value as { type: string } | null)?.type ?? '');
    return check?.(value) ?? false;
  };
}
