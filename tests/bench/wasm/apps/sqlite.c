// A table is filled, indexed, joined, changed and read in one transaction each. argv[1] is the name to report.
#include <sqlite3.h>
#include <stdlib.h>

#include "tests/bench/wasm/apps/measure.h"

static const char *const steps[] = {
    "create table parts (id integer primary key, name text, weight real, bin integer)",
    "create table bins (id integer primary key, place text)",
    "insert into bins with recursive n(i) as (select 1 union all select i + 1 from n where i < 50) select i, 'place ' || i from n",
    "insert into parts with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000)"
    " select i, 'part ' || (i * 7919 % 5000), i * 0.25, i * 31 % 50 + 1 from n",
    "create index by_name on parts (name)",
    "update parts set weight = weight * 2 where bin % 3 = 0",
    "delete from parts where id % 7 = 0",
    "select place, count(*), sum(weight) from parts join bins on bins.id = bin group by bin order by place",
    "select a.name, b.id from parts a join parts b on a.name = b.name and a.id < b.id limit 10",
    "select name from parts where name like 'part 12%' order by weight desc",
};

static int row(void *rows, int count, char **values, char **names) {
    (void)count, (void)values, (void)names;
    ++*(int *)rows;
    return 0;
}

int main(int argc, char **argv) {
    sqlite3 *db;
    char *error = NULL;
    int rows = 0;
    if (sqlite3_open(":memory:", &db) != SQLITE_OK) return 1;
    uint64_t before = measure_now();
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        if (sqlite3_exec(db, steps[i], row, &rows, &error) != SQLITE_OK) {
            printf("%s: %s\n", steps[i], error);
            return 2;
        }
    uint64_t after = measure_now();
    measure_report(argc > 1 ? argv[1] : "sqlite", after - before, 1);
    return rows > 50 ? 0 : 3;
}
