// Objects, closures, strings, arrays, a regular expression: what scripts do.
class Queue {
    constructor() { this.items = []; }
    put(item) { this.items.push(item); }
    take() { return this.items.shift(); }
}
const queue = new Queue(), counts = new Map();
for (let i = 0; i < 3000; i++) queue.put({ key: `k${i * 7919 % 500}`, weight: i % 13 });
for (let item; (item = queue.take()) !== undefined;) counts.set(item.key, (counts.get(item.key) ?? 0) + item.weight);
const sorted = [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
const primes = [];
for (let n = 2; primes.length < 600; n++) if (primes.every(p => p * p > n || n % p)) primes.push(n);
const words = JSON.parse(JSON.stringify({ words: sorted.map(([key, weight]) => `${key}:${weight}`) })).words;
const matched = words.filter(word => /^k(\d+)[13]:\d+$/.test(word)).length;
print(sorted[0][0], primes[primes.length - 1], matched);
