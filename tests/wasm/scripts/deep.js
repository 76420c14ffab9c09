// What nests or recurses too deep throws a RangeError that a script may catch, wherever QuickJS calls itself: one line for each case,
// `NAME: what it threw`, or `NAME: went on`. The arguments are names, else all. SyntaxErrors say that a pattern or a text nests too deep, and are an answer as well.
const N = 12000;  // some 9,000 are too many for what takes the least
const times = (n, make, value) => { for (let i = 0; i < n; i++) value = make(value, i); return value; };
const proxies = (value) => times(N, p => new Proxy(p, {}), value);
const nested = (before, inner, after, n = N) => before.repeat(n) + inner + after.repeat(n);
const MORE = 30000;  // of what takes little
const run = (text) => (0, eval)(text);

const cases = {
    stringify_objects: () => JSON.stringify(times(N, o => ({ a: o }), 1)),
    stringify_arrays: () => JSON.stringify(times(N, o => [o], 1)),
    stringify_both: () => JSON.stringify(times(N, (o, i) => i % 2 ? [o] : { a: o }, 1)),
    to_json: () => { const o = { toJSON() { return JSON.stringify(this); } }; JSON.stringify(o); },
    replacer: () => JSON.stringify({ a: 1 }, function f() { return JSON.stringify({ a: 1 }, f); }),
    parse_arrays: () => JSON.parse(nested("[", "", "]")),
    parse_objects: () => JSON.parse(nested('{"a":', "1", "}")),
    reviver: () => JSON.parse("[1]", function f() { return JSON.parse("[1]", f); }),
    to_string: () => times(N, o => [o], []).toString(),
    join: () => times(N, o => [o], []).join(),
    flat: () => times(N, o => [o], []).flat(Infinity),
    pattern_groups: () => new RegExp(nested("(?:", "a", ")*")),
    pattern_ahead: () => new RegExp(nested("(?=", "a", ")", MORE)),
    pattern_behind: () => new RegExp(nested("(?<=", "a", ")", MORE)),
    call: () => { function f() { return f() + 1; } f(); },
    getter: () => { const o = { get a() { return this.a; } }; return o.a; },
    value_of: () => { const o = { valueOf() { return +this; } }; return +o; },
    to_primitive: () => { const o = { [Symbol.toPrimitive]() { return `${this}`; } }; return `${o}`; },
    has_instance: () => { const o = { [Symbol.hasInstance]() { return 1 instanceof o; } }; return 1 instanceof o; },
    replace: () => { function f(s) { return s.replace(/a/, f); } f("a"); },
    sort: () => { function f() { [2, 1].sort(f); } f(); },
    reflect: () => { function f() { Reflect.apply(f, null, []); } f(); },
    evals: () => { globalThis.f = () => (0, eval)("f()"); f(); },
    generators: () => { function* f() { yield* f(); } f().next(); },
    spread: () => { function f() { return [...{ [Symbol.iterator]: f }]; } f(); },
    iterators: () => times(N, it => it.map(x => x), [1].values()).next(),
    iterators_drop: () => times(N, it => it.drop(0), [1].values()).next(),
    classes: () => new (times(N, C => class extends C {}, class {}))(),
    proxy_get: () => proxies({}).x,
    proxy_set: () => { proxies({}).x = 1; },
    proxy_has: () => "x" in proxies({}),
    proxy_keys: () => Object.keys(proxies({})),
    proxy_prototype: () => Object.getPrototypeOf(proxies({})),
    proxy_set_prototype: () => Object.setPrototypeOf(proxies({}), null),
    proxy_instance: () => proxies({}) instanceof Object,
    proxy_define: () => Object.defineProperty(proxies({}), "x", { value: 1 }),
    proxy_delete: () => delete proxies({}).x,
    proxy_describe: () => Object.getOwnPropertyDescriptor(proxies({}), "x"),
    proxy_prevent: () => Object.preventExtensions(proxies({})),
    proxy_call: () => proxies(() => 1)(),
    proxy_construct: () => new (proxies(function () {}))(),
    proxy_ring: () => { const p = new Proxy({}, {}); Object.setPrototypeOf(p, { __proto__: p }); return p.x; },
    proxy_itself: () => { const p = new Proxy({}, { get(t, k, r) { return r[k]; } }); return p.x; },
    text_parens: () => run(nested("(", "1", ")")),
    text_arrays: () => run(nested("[", "", "]")),
    text_objects: () => run("(" + nested("{a:", "1", "}") + ")"),
    text_blocks: () => run(nested("{", "", "}", MORE)),
    text_ifs: () => run("if(1)".repeat(MORE) + "1"),
    text_templates: () => run(nested("`${", "1", "}`")),
    text_functions: () => run(nested("(function(){", "", "})")),
    text_arrows: () => run("a=>".repeat(N) + "1"),
    text_classes: () => run(nested("(class{a=", "1", "})")),
};
// What has no need to nest: it must go on.
const shallow = {
    freed: () => { times(50000, o => ({ a: o }), null); },
    closures_freed: () => { times(50000, f => () => f, null); },
    text_sum: () => run("1" + "+1".repeat(N)),
    chained: () => times(50000, o => Object.create(o), {}).x,
    stringify_some: () => JSON.stringify(times(2000, o => [o], 1)).length,
    parse_some: () => JSON.parse("[".repeat(2000) + "]".repeat(2000)),
    calls: () => { function f(n) { return n === 0 ? 0 : 1 + f(n - 1); } return f(2000); },
};

function outcome(work) {
    try {
        work();
        return "went on";
    } catch (error) {
        return error.name;
    }
}
const all = { ...cases, ...shallow }, wanted = scriptArgs.slice(1);
for (const name of wanted.length > 0 ? wanted : Object.keys(all)) print(`${name}: ${outcome(all[name])}`);
