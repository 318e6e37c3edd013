# What a file system answers to calls that POSIX and Linux define, as a transcript: the same script
# runs on tmpfs and on the file system under test, and the transcripts must be the same.
# usage: posix.py DIRECTORY  (as root; the directory is empty and will not be cleaned)
import ctypes, errno, fcntl, mmap, os, socket, stat, sys

os.chdir(sys.argv[1])
os.umask(0o022)
os.chmod('.', 0o755)
libc = ctypes.CDLL(None, use_errno=True)
NOBODY = 65534


def show(value):
    if isinstance(value, os.stat_result):
        return '%o %d %d:%d %d' % (value.st_mode, value.st_nlink, value.st_uid, value.st_gid,
                                   value.st_size if stat.S_ISREG(value.st_mode) else -1)
    return repr(value)


def t(label, call):
    try:
        result = show(call())
    except OSError as error:
        result = errno.errorcode[error.errno]
    print('%s: %s' % (label, result))


def as_user(uid, gid, call):
    def inner():
        os.setegid(gid)
        os.seteuid(uid)
        try:
            return call()
        finally:
            os.seteuid(0)
            os.setegid(0)
    return inner


def put(name, data=b'', mode=0o644, flags=os.O_CREAT | os.O_WRONLY | os.O_TRUNC):
    fd = os.open(name, flags, mode)
    try:
        return os.write(fd, data)
    finally:
        os.close(fd)


def get(name):
    fd = os.open(name, os.O_RDONLY)
    try:
        return os.read(fd, 1 << 20)
    finally:
        os.close(fd)


def renameat2(old, new, flags):
    if libc.renameat2(-100, old.encode(), -100, new.encode(), flags) != 0:
        raise OSError(ctypes.get_errno(), 'renameat2')


def later(before, after):
    return after > before


# Making, and making again.
t('create', lambda: put('a', b'hello'))
t('create exclusive', lambda: os.open('a', os.O_CREAT | os.O_EXCL))
t('stat', lambda: os.stat('a'))
t('append', lambda: put('a', b' world', flags=os.O_WRONLY | os.O_APPEND))
t('content', lambda: get('a'))
t('truncate on open', lambda: put('a', b'new'))
t('content again', lambda: get('a'))
t('open missing', lambda: os.open('missing', os.O_RDONLY))
t('open through file', lambda: os.open('a/b', os.O_RDONLY))
t('open directory to write', lambda: os.open('.', os.O_RDWR))
t('open file as directory', lambda: os.open('a', os.O_RDONLY | os.O_DIRECTORY))
t('mkdir', lambda: os.mkdir('d', 0o777))
t('mkdir again', lambda: os.mkdir('d'))
t('mkdir over file', lambda: os.mkdir('a'))
t('mkdir below missing', lambda: os.mkdir('missing/d'))
t('stat directory', lambda: os.stat('d'))
t('long name', lambda: put('n' * 255))
t('longer name', lambda: put('n' * 256))
t('stat longer name', lambda: os.stat('n' * 256))
t('bytes that are no text', lambda: put(b'\xff\xfe'))
t('fifo', lambda: os.mkfifo('fifo', 0o640))
t('stat fifo', lambda: os.stat('fifo'))
t('device', lambda: os.mknod('null', stat.S_IFCHR | 0o666, os.makedev(1, 3)))
t('device number', lambda: os.stat('null').st_rdev)
t('device works', lambda: put('null', b'gone', flags=os.O_WRONLY))
t('large device number', lambda: os.mknod('big', stat.S_IFBLK, os.makedev(259, 70000)))
t('its number', lambda: os.stat('big').st_rdev)


def bind():
    with socket.socket(socket.AF_UNIX) as one, socket.socket(socket.AF_UNIX) as two:
        one.bind('socket')
        one.listen()
        two.connect('socket')


t('socket', bind)
t('stat socket', lambda: os.lstat('socket'))

# Links.
t('link', lambda: os.link('a', 'b'))
t('same inode', lambda: os.stat('a').st_ino == os.stat('b').st_ino)
t('links', lambda: os.stat('a').st_nlink)
t('link over', lambda: os.link('a', 'b'))
t('link directory', lambda: os.link('d', 'e'))
t('link missing', lambda: os.link('missing', 'e'))
t('write by the other name', lambda: put('b', b'both'))
t('read by the first', lambda: get('a'))
t('symlink', lambda: os.symlink('a', 's'))
t('read it', lambda: os.readlink('s'))
t('through it', lambda: get('s'))
t('stat it', lambda: os.lstat('s').st_size)
t('not through it', lambda: os.open('s', os.O_RDONLY | os.O_NOFOLLOW))
t('link to it', lambda: os.link('s', 's2', follow_symlinks=False))
t('dangling', lambda: (os.symlink('nowhere', 'dangling'), os.stat('dangling')))
t('loop', lambda: (os.symlink('loop', 'loop'), os.stat('loop')))
t('long target', lambda: os.symlink('x' * 4095, 'long'))
t('read long target', lambda: len(os.readlink('long')))
t('longer target', lambda: os.symlink('x' * 4096, 'longer'))
t('readlink of a file', lambda: os.readlink('a'))

# Removing.
t('unlink', lambda: os.unlink('b'))
t('links left', lambda: os.stat('a').st_nlink)
t('unlink missing', lambda: os.unlink('b'))
t('unlink directory', lambda: os.unlink('d'))
t('rmdir file', lambda: os.rmdir('a'))
put('d/in')
t('rmdir full', lambda: os.rmdir('d'))
t('rmdir dot', lambda: os.rmdir('d/.'))


def unlinked():
    fd = os.open('open', os.O_CREAT | os.O_RDWR)
    os.write(fd, b'still here')
    os.unlink('open')
    os.lseek(fd, 0, os.SEEK_SET)
    result = (os.read(fd, 100), os.fstat(fd).st_nlink, os.path.exists('open'))
    os.ftruncate(fd, 5)
    os.pwrite(fd, b'X', 7)
    result += (os.pread(fd, 100, 0),)
    os.close(fd)
    return result


t('unlinked and open', unlinked)


def removed_directory():
    os.mkdir('gone')
    fd = os.open('gone', os.O_RDONLY)
    os.rmdir('gone')
    try:
        return os.listdir(fd), os.open('new', os.O_CREAT, dir_fd=fd)
    finally:
        os.close(fd)


t('removed and open directory', removed_directory)

# Renaming.
for name in ('r1', 'r2'):
    put(name, name.encode())
os.makedirs('rd/sub')
os.mkdir('empty')
t('rename over file', lambda: os.rename('r1', 'r2'))
t('content of it', lambda: get('r2'))
t('rename missing', lambda: os.rename('r1', 'x'))
t('file over directory', lambda: os.rename('r2', 'empty'))
t('directory over file', lambda: os.rename('empty', 'r2'))
t('directory over full', lambda: os.rename('empty', 'rd'))
t('directory into itself', lambda: os.rename('rd', 'rd/sub/x'))
t('over its own parent', lambda: os.rename('rd/sub', 'rd'))
t('directory over empty', lambda: os.rename('rd', 'empty'))
t('links of parents', lambda: (os.stat('.').st_nlink, os.stat('empty').st_nlink))
t('to itself', lambda: os.rename('r2', 'r2'))
os.link('r2', 'r3')
t('to its own link', lambda: os.rename('r2', 'r3'))
t('both still there', lambda: sorted(name for name in os.listdir('.') if name in ('r2', 'r3')))
t('no replace', lambda: renameat2('r2', 'a', 1))
t('no replace, free', lambda: renameat2('r2', 'r4', 1))
t('exchange', lambda: renameat2('r4', 'empty', 2))
t('exchanged', lambda: (os.path.isdir('r4'), os.path.isfile('empty')))
t('exchange missing', lambda: renameat2('r4', 'missing', 2))
t('both flags', lambda: renameat2('r4', 'empty', 3))

# Owners and modes.
t('chmod', lambda: (os.chmod('a', 0o4755), os.stat('a'))[1])
t('chown clears set-uid', lambda: (os.chown('a', 1000, 1000), os.stat('a'))[1])
t('chmod set-gid', lambda: (os.chmod('a', 0o2775), os.stat('a'))[1])
t('write by root keeps it', lambda: (put('a', b'x', flags=os.O_WRONLY), os.stat('a'))[1])
t('write by others clears it', lambda: (os.chmod('a', 0o6777),
                                        as_user(NOBODY, NOBODY, lambda: put('a', b'y', flags=os.O_WRONLY))(),
                                        os.stat('a'))[2])
t('truncate by others clears it', lambda: (os.chmod('a', 0o6777),
                                           as_user(NOBODY, NOBODY, lambda: os.truncate('a', 0))(),
                                           os.stat('a'))[2])
t('chown symlink', lambda: (os.lchown('s', 5, 6), os.lstat('s').st_uid, os.stat('a').st_uid)[1:])
t('others may not', as_user(NOBODY, NOBODY, lambda: os.chmod('a', 0o777)))
t('others may not chown', as_user(NOBODY, NOBODY, lambda: os.chown('a', NOBODY, -1)))
put('secret', b'x', 0o600)
t('others may not read', as_user(NOBODY, NOBODY, lambda: get('secret')))
t('others may not make', as_user(NOBODY, NOBODY, lambda: put('theirs')))
os.mkdir('sticky')
os.chmod('sticky', 0o1777)
put('sticky/root')
t('others make in sticky', as_user(NOBODY, NOBODY, lambda: put('sticky/theirs')))
t('owner of it', lambda: os.stat('sticky/theirs'))
t('others remove in sticky', as_user(NOBODY, NOBODY, lambda: os.unlink('sticky/root')))
t('others rename in sticky', as_user(NOBODY, NOBODY, lambda: os.rename('sticky/theirs', 'sticky/root')))
os.mkdir('group')
os.chown('group', 0, 77)
os.chmod('group', 0o2777)
t('file in set-gid', lambda: (put('group/f'), os.stat('group/f'))[1])
t('directory in set-gid', lambda: (os.mkdir('group/d'), os.stat('group/d'))[1])
t('others in set-gid', lambda: (as_user(NOBODY, NOBODY, lambda: put('group/g', mode=0o2775))(),
                                os.stat('group/g'))[1])
t('umask', lambda: (os.umask(0o077), put('masked', mode=0o666), os.umask(0o022), os.stat('masked'))[3])
t('read only for its owner too', lambda: (as_user(NOBODY, NOBODY, lambda: put('sticky/ro', b'1', 0o444))(),
                                          as_user(NOBODY, NOBODY, lambda: put('sticky/ro'))()))

# Times.
t('utime', lambda: (os.utime('a', ns=(1, 1234567890123456789)), os.stat('a').st_mtime_ns, os.stat('a').st_atime_ns)[1:])
t('utime before 1970', lambda: (os.utime('a', ns=(-5_500_000_000, -1)), os.stat('a').st_mtime_ns, os.stat('a').st_atime_ns)[1:])
t('utime of a symlink', lambda: (os.utime('s', ns=(7, 8), follow_symlinks=False), os.lstat('s').st_mtime_ns)[1])
t('write sets mtime', lambda: (os.utime('a', (0, 0)), put('a', b'1', flags=os.O_WRONLY), os.stat('a').st_mtime > 1e9)[2])
t('truncate sets mtime', lambda: (os.utime('a', (0, 0)), os.truncate('a', 0), os.stat('a').st_mtime > 1e9)[2])
t('chmod keeps mtime', lambda: (os.utime('a', (0, 0)), os.chmod('a', 0o600), os.stat('a').st_mtime)[2])
t('create sets mtime of directory', lambda: (os.utime('d', (0, 0)), put('d/new'), os.stat('d').st_mtime > 1e9)[2])
t('unlink sets it', lambda: (os.utime('d', (0, 0)), os.unlink('d/new'), os.stat('d').st_mtime > 1e9)[2])
t('write keeps it', lambda: (os.utime('d', (0, 0)), put('d/in', b'x'), os.stat('d').st_mtime)[2])

# Data.
t('sparse', lambda: (put('sparse'), os.truncate('sparse', 1 << 30), os.stat('sparse').st_size)[2])


def holes():
    fd = os.open('sparse', os.O_RDWR)
    try:
        os.pwrite(fd, b'data' * 4096, 1 << 20)
        # Whether holes are found is up to the file system; that data is not taken for one is not.
        return (os.lseek(fd, 0, os.SEEK_DATA) <= 1 << 20, os.lseek(fd, 1 << 20, os.SEEK_HOLE) > 1 << 20,
                os.pread(fd, 4, 0), os.pread(fd, 8, (1 << 20) + 4), os.fstat(fd).st_blocks > 0)
    finally:
        os.close(fd)


t('holes', holes)
t('data behind the end', lambda: os.lseek(os.open('sparse', os.O_RDONLY), 1 << 30, os.SEEK_DATA))
t('grow shows zeros', lambda: (put('cut', b'x' * 5000), os.truncate('cut', 10), os.truncate('cut', 20), get('cut'))[3])
t('negative', lambda: os.truncate('cut', -1))
t('too large', lambda: os.truncate('cut', (1 << 63) - 1) if sys.argv[2:] else None)


def allocate(mode, offset, length):
    fd = os.open('alloc', os.O_RDWR | os.O_CREAT)
    try:
        if libc.fallocate(fd, mode, ctypes.c_long(offset), ctypes.c_long(length)) != 0:
            raise OSError(ctypes.get_errno(), 'fallocate')
        return os.fstat(fd).st_size
    finally:
        os.close(fd)


t('fallocate', lambda: allocate(0, 0, 100_000))
t('fallocate, size kept', lambda: allocate(1, 0, 200_000))
t('punch', lambda: (put('alloc', b'x' * 100_000), allocate(3, 5000, 20_000), get('alloc').count(b'\0'))[1:])


def copy_range():
    source, target = os.open('alloc', os.O_RDWR), os.open('copy', os.O_RDWR | os.O_CREAT)
    try:
        done = 0
        while (step := os.copy_file_range(source, target, 100_000 - done)) > 0:
            done += step
        os.pwrite(source, b'overlap', 0)
        return done, os.stat('copy').st_size, os.copy_file_range(source, source, 7, 0, 90_000), os.pread(source, 9, 90_000)
    finally:
        os.close(source)
        os.close(target)


t('copy_file_range', copy_range)


def mapped():
    fd = os.open('map', os.O_RDWR | os.O_CREAT)
    os.ftruncate(fd, 10_000)
    with mmap.mmap(fd, 10_000) as memory:
        memory[5000:5005] = b'mmap!'
        os.pwrite(fd, b'pwrite', 100)
        result = (memory[100:106], os.pread(fd, 5, 5000))
        memory.flush()
    os.close(fd)
    return result, get('map')[5000:5005]


t('mmap', mapped)


def append_twice():
    one = os.open('log', os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    two = os.open('log', os.O_WRONLY | os.O_APPEND)
    for index in range(100):
        os.write(one, b'1')
        os.write(two, b'2')
    os.lseek(one, 0, os.SEEK_SET)
    os.write(one, b'3')
    os.close(one)
    os.close(two)
    return get('log') == b'12' * 100 + b'3'


t('append by two', append_twice)


def unnamed(name):
    fd = os.open('.', os.O_TMPFILE | os.O_RDWR, 0o600)
    try:
        os.write(fd, b'unnamed')
        before = os.fstat(fd).st_nlink
        if libc.linkat(-100, b'/proc/self/fd/%d' % fd, -100, name.encode(), 0x400) != 0:
            raise OSError(ctypes.get_errno(), 'linkat')
        return before, os.fstat(fd).st_nlink, get(name)
    finally:
        os.close(fd)


t('unnamed file', lambda: unnamed('named'))


def locks():
    one, two = os.open('a', os.O_RDWR), os.open('a', os.O_RDWR)
    fcntl.flock(one, fcntl.LOCK_EX)
    try:
        fcntl.flock(two, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        result = 'held'
    fcntl.flock(one, fcntl.LOCK_UN)
    fcntl.lockf(one, fcntl.LOCK_EX, 10)
    child = os.fork()
    if child == 0:
        try:
            fcntl.lockf(two, fcntl.LOCK_EX | fcntl.LOCK_NB, 5)
        except OSError:
            os._exit(7)
        os._exit(0)
    return result, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


t('locks', locks)

# Extended attributes.
x = 'trusted.x'
t('set', lambda: os.setxattr('a', x, b'value'))
t('get', lambda: os.getxattr('a', x))
t('list', lambda: os.listxattr('a'))
t('create again', lambda: os.setxattr('a', x, b'2', os.XATTR_CREATE))
t('replace missing', lambda: os.setxattr('a', 'trusted.y', b'2', os.XATTR_REPLACE))
t('missing', lambda: os.getxattr('a', 'trusted.y'))
t('of a directory', lambda: (os.setxattr('d', x, b'd'), os.getxattr('d', x))[1])
t('empty value', lambda: (os.setxattr('a', x, b''), os.getxattr('a', x))[1])
t('remove', lambda: os.removexattr('a', x))
t('remove again', lambda: os.removexattr('a', x))
cap = bytes.fromhex('0100000200040000000000000000000000000000')
t('capability', lambda: (os.setxattr('a', 'security.capability', cap), len(os.getxattr('a', 'security.capability')))[1])
t('a write takes it', lambda: (put('a', b'1', flags=os.O_WRONLY), os.getxattr('a', 'security.capability'))[1])

# Directories.
os.mkdir('many')
for index in range(1000):
    put('many/%d' % index)


def remove_while_reading():
    seen = []
    with os.scandir('many') as entries:
        for entry in entries:
            seen.append(entry.name)
            os.unlink('many/' + entry.name)
            put('many/new' + entry.name) if len(seen) % 10 == 0 and len(seen) < 500 else None
    old = [name for name in seen if not name.startswith('new')]
    return len(old), len(set(seen)) == len(seen)


t('remove while reading', remove_while_reading)
for name in os.listdir('many'):
    os.unlink('many/' + name)
t('empty again', lambda: os.rmdir('many'))
t('names', lambda: sorted(os.listdir('.')))
t('types', lambda: sorted((entry.name, entry.is_file(follow_symlinks=False), entry.is_symlink())
                          for entry in os.scandir('.')))
t('name length', lambda: os.statvfs('.').f_namemax)
t('sync', lambda: (os.fsync(os.open('.', os.O_RDONLY)), os.sync()))
