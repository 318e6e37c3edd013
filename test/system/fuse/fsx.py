# Random reads, writes, truncations, mappings and holes on one file, compared with a model in memory
# after every step, as fsx(1) does. usage: fsx.py FILE SEED STEPS [plain]
# `plain` leaves out fallocate(2), which not every file system has.
import ctypes, mmap, os, random, sys

path, seed, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
random.seed(seed)
libc = ctypes.CDLL(None, use_errno=True)
LIMIT = 300_000
fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
model = bytearray()


def grow(size):
    if size > len(model):
        model.extend(bytes(size - len(model)))


def write():
    offset, length = random.randrange(LIMIT), random.randrange(1, 70_000)
    data = random.randbytes(length)
    assert os.pwrite(fd, data, offset) == length
    grow(offset + length)
    model[offset:offset + length] = data


def read():
    offset, length = random.randrange(LIMIT), random.randrange(1, 70_000)
    got = os.pread(fd, length, offset)
    assert got == bytes(model[offset:offset + length]), ('read', offset, length)


def truncate():
    size = random.randrange(LIMIT)
    os.ftruncate(fd, size)
    del model[size:]
    grow(size)


def map_write():
    if not model:
        return
    with mmap.mmap(fd, len(model)) as memory:
        offset = random.randrange(len(model))
        data = random.randbytes(min(random.randrange(1, 20_000), len(model) - offset))
        memory[offset:offset + len(data)] = data
        model[offset:offset + len(data)] = data
        if random.random() < 0.3:
            memory.flush()


def map_read():
    if not model:
        return
    with mmap.mmap(fd, len(model), prot=mmap.PROT_READ) as memory:
        offset = random.randrange(len(model))
        assert memory[offset:offset + 9000] == bytes(model[offset:offset + 9000]), ('map', offset)


def allocate(mode):
    offset, length = random.randrange(LIMIT), random.randrange(1, 50_000)
    if libc.fallocate(fd, mode, ctypes.c_long(offset), ctypes.c_long(length)) != 0:
        raise OSError(ctypes.get_errno(), 'fallocate')
    if mode == 0:
        grow(offset + length)
    else:
        if mode == 16:
            grow(offset + length)
        end = min(offset + length, len(model))
        if end > offset:
            model[offset:end] = bytes(end - offset)


def copy():
    if not model:
        return
    source = random.randrange(len(model))
    length = min(random.randrange(1, 30_000), len(model) - source)
    target = random.randrange(LIMIT)
    if abs(source - target) < length:
        return
    done = os.copy_file_range(fd, fd, length, source, target)
    data = bytes(model[source:source + done])
    grow(target + done)
    model[target:target + done] = data


def reopen():
    global fd
    os.close(fd)
    fd = os.open(path, os.O_RDWR)


def drop_caches():
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


actions = [write, write, read, read, truncate, map_write, map_read, copy, reopen, drop_caches,
           *([] if sys.argv[4:] else [lambda: allocate(0), lambda: allocate(3), lambda: allocate(16)])]
for step in range(steps):
    random.choice(actions)()
    assert os.fstat(fd).st_size == len(model), ('size', step)
drop_caches()
assert os.pread(fd, LIMIT * 2, 0) == bytes(model), 'at the end'
print('ok')
