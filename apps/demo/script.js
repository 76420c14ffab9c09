// A script: QuickJS runs it, which is a WebAssembly program itself.
const text = "the system is small and the programs are many and the small programs run in the system";
const counts = new Map();
for (const word of text.match(/\w+/g)) counts.set(word, (counts.get(word) ?? 0) + 1);
const most = [...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0])).slice(0, 3);
console.log(`${counts.size} words; ${most.map(([word, count]) => `${word}: ${count}`).join(", ")}`);
