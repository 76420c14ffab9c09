cd /tmp; sqlite3 a.db 'create table t(a); insert into t values (1); select * from t; vacuum; pragma journal_mode = wal;
    insert into t values (2)'
sqlite3 a.db 'pragma mmap_size = 1000000; select count(*) from t; pragma integrity_check' '.backup b.db'
sqlite3 a.db .dump | sqlite3 c.db
