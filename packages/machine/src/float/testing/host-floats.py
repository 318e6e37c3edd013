# The judge of the soft-float: the host's own floating-point unit, reached through C's <fenv.h>.
# Reads lines "operation rounding a b c" (operands as hexadecimal bits), prints "bits flags".
import ctypes, struct, sys

libm = ctypes.CDLL("libm.so.6")
for name, kind, count in [("fma", ctypes.c_double, 3), ("sqrt", ctypes.c_double, 1),
                          ("fmaf", ctypes.c_float, 3), ("sqrtf", ctypes.c_float, 1)]:
    function = getattr(libm, name)
    function.restype, function.argtypes = kind, [kind] * count
libm.lrint.restype, libm.lrint.argtypes = ctypes.c_long, [ctypes.c_double]

MODES = {0: 0, 1: 0xC00, 2: 0x400, 3: 0x800}  # RISC-V's numbers to x86's <fenv.h>
FLAGS = {0x20: 1, 0x10: 2, 0x08: 4, 0x04: 8, 0x01: 16}

def double(bits): return struct.unpack("<d", struct.pack("<Q", bits))[0]
def single(bits): return struct.unpack("<f", struct.pack("<I", bits))[0]
def bits64(value): return struct.unpack("<Q", struct.pack("<d", value))[0]
def bits32(value): return struct.unpack("<I", bytes(ctypes.c_float(value)))[0]

OPERATIONS = {
    "add": (double, lambda a, b, c: a + b, bits64),
    "subtract": (double, lambda a, b, c: a - b, bits64),
    "multiply": (double, lambda a, b, c: a * b, bits64),
    "divide": (double, lambda a, b, c: a / b, bits64),
    "squareRoot": (double, lambda a, b, c: libm.sqrt(a), bits64),
    "fma": (double, lambda a, b, c: libm.fma(a, b, c), bits64),
    "squareRoot32": (single, lambda a, b, c: libm.sqrtf(a), bits32),
    "fma32": (single, lambda a, b, c: libm.fmaf(a, b, c), bits32),
    "narrow": (double, lambda a, b, c: ctypes.c_float(a), lambda value: struct.unpack("<I", bytes(value))[0]),
    "toLong": (double, lambda a, b, c: libm.lrint(a), lambda value: value & (2**64 - 1)),
}

for line in sys.stdin:
    name, mode, *operands = line.split()
    convert, apply, to_bits = OPERATIONS[name]
    a, b, c = (convert(int(word, 16)) for word in operands)
    libm.fesetround(MODES[int(mode)])
    libm.feclearexcept(0x3D)
    value = apply(a, b, c)
    raised = libm.fetestexcept(0x3D)
    libm.fesetround(0)
    print("%x %d" % (to_bits(value), sum(flag for bit, flag in FLAGS.items() if raised & bit)))
