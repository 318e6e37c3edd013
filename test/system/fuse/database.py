# Two processes write one SQLite database by turns, in both journal modes.
# usage: database.py DIRECTORY
import multiprocessing, os, sqlite3, sys


def write(path, count):
    database = sqlite3.connect(path, timeout=60, isolation_level=None)
    for index in range(count):
        database.execute('begin immediate')
        database.execute('insert into t(v) values (?)', (os.urandom(300),))
        database.execute('update counter set n = n + 1')
        database.execute('commit')
    database.close()


for mode in ('delete', 'wal'):
    path = os.path.join(sys.argv[1], mode + '.db')
    database = sqlite3.connect(path)
    database.execute('pragma journal_mode = ' + mode)
    database.execute('pragma mmap_size = 1000000')
    database.execute('create table t(v)')
    database.execute('create table counter(n)')
    database.execute('insert into counter values (0)')
    database.commit()
    writers = [multiprocessing.Process(target=write, args=(path, 100)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert database.execute('select n from counter').fetchone() == (200,)
    assert database.execute('select count(*) from t').fetchone() == (200,)
    print(mode, database.execute('pragma integrity_check').fetchone()[0])
    database.close()
