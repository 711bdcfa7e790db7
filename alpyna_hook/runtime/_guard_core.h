/* Data structures of the guard: what an Entry holds once parsed, and NumPy brought in lazily.
 *
 * in:  nothing; included first by _guard.c
 * out: alp_slot (the kernel ABI), Param, Out, Entry, Site, ensure_numpy()
 */
#ifndef ALPYNA_GUARD_CORE_H
#define ALPYNA_GUARD_CORE_H

#include <stdint.h>

/* The kernel ABI, shared with the generated C (see codegen/). */
typedef union { int64_t i; uint64_t u; double d; float f; void *p; } alp_slot;
typedef int32_t (*alp_kernel)(const alp_slot *in, alp_slot *out);

enum { MAX_IN = 512, MAX_OUT = 144, MAX_PARAMS = 96, MAX_KINDS = 8, MAX_ENTRIES = 32, MAX_PATH = 8 };
enum { GIL_NS = 5000000 }; /* an entry with a timed call that took longer lets other threads run in later ones */
enum { RESUME_SLOTS = 16 }; /* of the resume record: ir/abi.py */

/* What a parameter must be. The names on the right are those of the Python-side check tuples. */
typedef enum {
    P_IS,      /* ("is", obj)                                      0 slots */
    P_INT,     /* ("int",)      exact int within int64             1 slot  */
    P_FLOAT,   /* ("float",)    exact float                        1 slot  */
    P_BOOL,    /* ("bool",)                                        1 slot  */
    P_COMPLEX, /* ("complex",)                                     2 slots */
    P_NP,      /* ("np", typenum)  exact NumPy scalar class        1 or 2 slots */
    P_ARRAY,   /* ("array", typenum, ndim, layout, writeable)      1 + 2 ndim slots */
    P_CONST,   /* ("const", int)   no argument is read             1 slot  */
    P_FP_MASK, /* ("fp_mask",)     no argument is read; see _guard_errstate.h  1 slot */
    P_POLL     /* ("poll",)        no argument is read; see _guard_poll.h      1 slot */
} ParamKind;

typedef struct {
    uint8_t kind;
    uint8_t writeable;   /* P_ARRAY: must be writeable, no two subscripts one element */
    uint8_t wants_span;  /* P_ARRAY: takes part in a `disjoint` or `overlapping` pair */
    uint8_t shift;       /* P_ARRAY: log2 of the item size */
    char layout;         /* P_ARRAY: 'C', 'F' or 'S' */
    int typenum;         /* P_ARRAY, P_NP */
    int ndim;            /* P_ARRAY */
    int index;           /* which argument; -1 for P_CONST, P_FP_MASK, P_POLL */
    int slot;            /* first slot in `in` */
    int path_len;
    PyObject *path[MAX_PATH]; /* interned attribute names, strong */
    PyObject *object;    /* P_IS: the object; P_NP: the scalar type; strong */
    alp_slot constant;   /* P_CONST */
} Param;

/* How one live-out is handed back. `kind` >= 0 is a NumPy type number. */
enum { O_INT = -1, O_FLOAT = -2, O_BOOL = -3, O_COMPLEX = -4, O_INT_FROM_DOUBLE = -5 };
typedef struct {
    int slot, tag_slot, set_slot, n_kinds;
    int kinds[MAX_KINDS];
} Out;

typedef struct { int slot; int64_t lo, hi; } Range;
typedef struct { int a, b; } Pair;

typedef struct {
    PyObject_HEAD
    /* as given, for Python */
    PyObject *params, *ranges, *values, *disjoint, *overlapping, *same, *journal, *outs, *failed;
    PyObject *device, *data;
    unsigned long long kernel;
    long long threads, calls_left, calls, faults, declines, total_ns;
    int record;
    char time_always, release_gil;
    /* parsed */
    long long last_timed; /* value of `calls` when the kernel was last timed */
    int poll_slot;        /* in `in`; -1: the kernel cannot stop */
    int n_params, n_in, n_out, n_outs, n_ranges, n_disjoint, n_overlapping, n_same, n_journal;
    Param *param;
    Out *out;
    Range *range;         /* `ranges` and `values` */
    Pair *disjoint_pair, *overlapping_pair, *same_pair;
    int *journaled;
} Entry;

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyObject *key, *slow, *weakrefs;
    int n;
    Entry *entries[MAX_ENTRIES]; /* most recently matched first */
} Site;

static PyObject *unset;    /* stands for a live-out that was never assigned */
static PyObject *on_error; /* callable(key, exception) or NULL */

/* Type numbers that kernels know. float16, long double, strings, dates and objects are not among them. */
static const int supported_types[] = {
    NPY_BOOL, NPY_BYTE, NPY_UBYTE, NPY_SHORT, NPY_USHORT, NPY_INT, NPY_UINT, NPY_LONG, NPY_ULONG,
    NPY_LONGLONG, NPY_ULONGLONG, NPY_FLOAT, NPY_DOUBLE, NPY_CFLOAT, NPY_CDOUBLE,
};
enum { N_TYPES = sizeof supported_types / sizeof supported_types[0] };

/* Item size in bytes of a type number, 0 if kernels do not know it. Always a power of two. */
static int
item_size(int typenum)
{
    switch (typenum) {
    case NPY_BOOL: case NPY_BYTE: case NPY_UBYTE: return 1;
    case NPY_SHORT: case NPY_USHORT: return sizeof(short);
    case NPY_INT: case NPY_UINT: return sizeof(int);
    case NPY_LONG: case NPY_ULONG: return sizeof(long);
    case NPY_LONGLONG: case NPY_ULONGLONG: return sizeof(long long);
    case NPY_FLOAT: return 4;
    case NPY_DOUBLE: case NPY_CFLOAT: return 8;
    case NPY_CDOUBLE: return 16;
    default: return 0;
    }
}

static PyTypeObject *scalar_types[NPY_CDOUBLE + 1]; /* by type number; strong, filled by ensure_numpy */

/* NumPy's C API, imported on first need: a program without arrays never pays for it. 0, or -1 with an exception. */
static int
ensure_numpy(void)
{
    if (scalar_types[NPY_DOUBLE] != NULL) {
        return 0;
    }
    if (PyArray_ImportNumPyAPI() < 0) {
        return -1;
    }
    for (int i = 0; i < N_TYPES; i++) {
        int typenum = supported_types[i];
        PyArray_Descr *descr = PyArray_DescrFromType(typenum);
        if (descr == NULL) {
            return -1;
        }
        if (typenum != NPY_DOUBLE) {
            scalar_types[typenum] = (PyTypeObject *)Py_NewRef(descr->typeobj);
        }
        Py_DECREF(descr);
    }
    scalar_types[NPY_DOUBLE] = (PyTypeObject *)Py_NewRef(&PyDoubleArrType_Type); /* last: marks success */
    return 0;
}

/* Like ensure_numpy, but only if the program has NumPy already: 1 yes, 0 no (no value can be an array), -1 error. */
static int
numpy_if_loaded(void)
{
    if (scalar_types[NPY_DOUBLE] != NULL) {
        return 1;
    }
    PyObject *modules = PyImport_GetModuleDict(); /* borrowed */
    if (modules == NULL || PyDict_GetItemString(modules, "numpy") == NULL) {
        return 0;
    }
    return ensure_numpy() < 0 ? -1 : 1;
}

#endif
