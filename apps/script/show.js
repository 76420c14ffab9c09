// What console shows of a value that is no plain text: of objects what they hold, three deep.
(function () {
    const DEPTH = 3, ITEMS = 100;
    const simple = /^[A-Za-z_$][\w$]*$/;

    function key(name) {
        return typeof name === "symbol" ? `[${String(name)}]` : simple.test(name) ? name : JSON.stringify(name);
    }

    // Short ones side by side, in lines that fit.
    function lines(items) {
        if (items.some((item) => item.length > 16)) return items.map((item) => item.replaceAll("\n", "\n  ")).join(",\n  ");
        const made = [""];
        for (const item of items) {
            const line = made.at(-1);
            if (line.length + item.length > 70) made.push(item);
            else made[made.length - 1] = line === "" ? item : `${line}, ${item}`;
        }
        return made.join(",\n  ");
    }

    function list(open, items, close, left) {
        if (left > 0) items.push(`... ${left} more`);
        const line = items.join(", "), short = line.length <= 72 && !line.includes("\n");
        if (items.length === 0) return open + close;
        return short ? `${open} ${line} ${close}` : `${open}\n  ${lines(items)}\n${close}`;
    }

    function properties(value, seen, skipped) {
        return Reflect.ownKeys(value).filter((name) => !skipped(name)).flatMap((name) => {
            const what = Reflect.getOwnPropertyDescriptor(value, name);
            if (!what.enumerable) return [];
            return [`${key(name)}: ${what.get ? "[getter]" : what.set ? "[setter]" : show(what.value, seen)}`];
        });
    }

    function object(value, seen) {
        const name = value.constructor?.name ?? "[no prototype]";
        if (value instanceof Error) return `${String(value)}\n${value.stack ?? ""}`.trimEnd();
        if (value instanceof Date) return isNaN(value) ? "Invalid Date" : value.toISOString();
        if (value instanceof RegExp) return String(value);
        if (seen.includes(value)) return "[circular]";
        if (seen.length >= DEPTH) return Array.isArray(value) ? "[Array]" : `[${name}]`;
        const deeper = [...seen, value], prefix = name === "Object" || name === "Array" ? "" : `${name} `;
        if (Array.isArray(value) || ArrayBuffer.isView(value) && !(value instanceof DataView)) {
            const items = Array.from({length: Math.min(value.length, ITEMS)}, (_, at) => at in value ? show(value[at], deeper) : "<empty>");
            const more = properties(value, deeper, (name) => typeof name === "string" && /^\d+$/.test(name));
            return list(`${prefix}[`, [...items, ...more], "]", value.length - ITEMS);
        }
        if (value instanceof Map) {
            const items = [...value].slice(0, ITEMS).map(([from, to]) => `${show(from, deeper)} => ${show(to, deeper)}`);
            return list(`Map(${value.size}) {`, items, "}", value.size - ITEMS);
        }
        if (value instanceof Set)
            return list(`Set(${value.size}) {`, [...value].slice(0, ITEMS).map((item) => show(item, deeper)), "}", value.size - ITEMS);
        return list(`${prefix}{`, properties(value, deeper, () => false), "}", 0);
    }

    function show(value, seen) {
        if (typeof value === "string") return seen.length > 0 ? JSON.stringify(value) : value;
        if (typeof value === "bigint") return `${value}n`;
        if (typeof value === "function") return `[${/^class\b/.test(String(value)) ? "class" : "function"} ${value.name || "without a name"}]`;
        if (Object.is(value, -0)) return "-0";
        return typeof value === "object" && value !== null ? object(value, seen) : String(value);
    }

    return (value) => show(value, []);
})();
