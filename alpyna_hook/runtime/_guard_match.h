/* Reading live-ins: attributes, type checks, kernel input slots; and the description of any value.
 *
 * in:  the arguments of a site call and an Entry
 * out: match_entry() (1 if the entry applies, its `in` slots then filled), follow_name(), describe()
 */
#ifndef ALPYNA_GUARD_MATCH_H
#define ALPYNA_GUARD_MATCH_H

#include "_guard_core.h"
#include "_guard_errstate.h"
#include "_guard_memory.h"

/* The state of one call: input slots, and strong references to values read through attributes (those
 * given as arguments are kept alive by the caller). */
typedef struct {
    int n_held;
    PyObject *held[MAX_PARAMS];
    uintptr_t lo[MAX_PARAMS], hi[MAX_PARAMS]; /* bytes covered, of params with wants_span */
    alp_slot in[MAX_IN];
} Call;

static void
release_held(Call *call)
{
    for (int i = 0; i < call->n_held; i++) {
        Py_DECREF(call->held[i]);
    }
    call->n_held = 0;
}

/* `object.name` as a new reference, if reading it can run no code of the program: the class has
 * object's own attribute lookup, and the attribute is an instance value, a slot, or a plain class
 * attribute. NULL without an exception otherwise. */
static PyObject *
follow_name(PyObject *object, PyObject *name)
{
    PyTypeObject *type = Py_TYPE(object);
    if (type->tp_getattro != PyObject_GenericGetAttr) {
        return NULL;
    }
    PyObject *found = _PyType_Lookup(type, name); /* borrowed; a hit in the type's method cache as a rule */
    if (found != NULL && !Py_IS_TYPE(found, &PyMemberDescr_Type) &&
        (Py_TYPE(found)->tp_descr_get != NULL || Py_TYPE(found)->tp_descr_set != NULL)) {
        return NULL;
    }
    PyObject *value = PyObject_GenericGetAttr(object, name);
    if (value == NULL) {
        PyErr_Clear(); /* AttributeError: the original loop raises it in its place */
    }
    return value;
}

/* An array that kernels can take: exact ndarray, native aligned elements of a known type, none of its
 * dims 0, strides multiples of the item size. NULL if so, else what stands against it. */
static const char *
array_obstacle(PyArrayObject *array)
{
    PyArray_Descr *descr = PyArray_DESCR(array);
    int size = item_size(descr->type_num);
    if (size == 0) {
        return "element type";
    }
    if (!PyArray_ISNBO(descr->byteorder)) {
        return "byte order";
    }
    if (!(PyArray_FLAGS(array) & NPY_ARRAY_ALIGNED)) {
        return "alignment";
    }
    for (int k = 0; k < PyArray_NDIM(array); k++) {
        if (PyArray_DIM(array, k) == 0) {
            return "no elements";
        }
        if (PyArray_DIM(array, k) > 1 && PyArray_STRIDE(array, k) % size != 0) {
            return "strides";
        }
    }
    return NULL;
}

static char
array_layout(PyArrayObject *array)
{
    int flags = PyArray_FLAGS(array);
    return flags & NPY_ARRAY_C_CONTIGUOUS ? 'C' : flags & NPY_ARRAY_F_CONTIGUOUS ? 'F' : 'S';
}

static inline int
load_array(const Param *p, PyObject *value, alp_slot *slot)
{
    if (!Py_IS_TYPE(value, &PyArray_Type)) {
        return 0;
    }
    PyArrayObject *array = (PyArrayObject *)value;
    PyArray_Descr *descr = PyArray_DESCR(array);
    int flags = PyArray_FLAGS(array), ndim = p->ndim;
    int needed = NPY_ARRAY_ALIGNED | (p->writeable ? NPY_ARRAY_WRITEABLE : 0) |
                 (p->layout == 'C' ? NPY_ARRAY_C_CONTIGUOUS : p->layout == 'F' ? NPY_ARRAY_F_CONTIGUOUS : 0);
    if (descr->type_num != p->typenum || PyArray_NDIM(array) != ndim || (flags & needed) != needed ||
        (p->layout == 'F' && (flags & NPY_ARRAY_C_CONTIGUOUS)) || !PyArray_ISNBO(descr->byteorder)) {
        return 0;
    }
    const npy_intp *dims = PyArray_DIMS(array), *strides = PyArray_STRIDES(array);
    slot[0].p = PyArray_DATA(array);
    alp_slot *out_dims = slot + 1, *out_strides = slot + 1 + ndim;
    int64_t step = 1, mask = ((int64_t)1 << p->shift) - 1;
    /* Strides of contiguous layouts are computed: NumPy leaves those of axes of one element undefined. */
    if (p->layout == 'C') {
        for (int k = ndim - 1; k >= 0; k--) {
            out_dims[k].i = dims[k];
            out_strides[k].i = step;
            step *= dims[k];
        }
        return step != 0;
    }
    if (p->layout == 'F') {
        for (int k = 0; k < ndim; k++) {
            out_dims[k].i = dims[k];
            out_strides[k].i = step;
            step *= dims[k];
        }
        return step != 0;
    }
    for (int k = 0; k < ndim; k++) {
        if (dims[k] == 0 || (dims[k] > 1 && (strides[k] & mask))) {
            return 0;
        }
        out_dims[k].i = dims[k];
        out_strides[k].i = strides[k] >> p->shift; /* arithmetic shift: exact, also for negative strides */
    }
    return !p->writeable || strides_distinct(ndim, dims, strides, (size_t)1 << p->shift);
}

static inline int
load_numpy_scalar(const Param *p, PyObject *value, alp_slot *slot)
{
    if (Py_TYPE(value) != (PyTypeObject *)p->object) {
        return 0;
    }
    slot->u = 0;
    switch (p->typenum) {
    case NPY_BOOL: slot->i = PyArrayScalar_VAL(value, Bool) != 0; return 1;
    case NPY_BYTE: slot->i = PyArrayScalar_VAL(value, Byte); return 1;
    case NPY_UBYTE: slot->u = PyArrayScalar_VAL(value, UByte); return 1;
    case NPY_SHORT: slot->i = PyArrayScalar_VAL(value, Short); return 1;
    case NPY_USHORT: slot->u = PyArrayScalar_VAL(value, UShort); return 1;
    case NPY_INT: slot->i = PyArrayScalar_VAL(value, Int); return 1;
    case NPY_UINT: slot->u = PyArrayScalar_VAL(value, UInt); return 1;
    case NPY_LONG: slot->i = PyArrayScalar_VAL(value, Long); return 1;
    case NPY_ULONG: slot->u = PyArrayScalar_VAL(value, ULong); return 1;
    case NPY_LONGLONG: slot->i = PyArrayScalar_VAL(value, LongLong); return 1;
    case NPY_ULONGLONG: slot->u = PyArrayScalar_VAL(value, ULongLong); return 1;
    case NPY_FLOAT: slot->f = PyArrayScalar_VAL(value, Float); return 1;
    case NPY_DOUBLE: slot->d = PyArrayScalar_VAL(value, Double); return 1;
    case NPY_CFLOAT:
        slot[1].u = 0;
        slot[0].f = npy_crealf(PyArrayScalar_VAL(value, CFloat));
        slot[1].f = npy_cimagf(PyArrayScalar_VAL(value, CFloat));
        return 1;
    case NPY_CDOUBLE:
        slot[0].d = npy_creal(PyArrayScalar_VAL(value, CDouble));
        slot[1].d = npy_cimag(PyArrayScalar_VAL(value, CDouble));
        return 1;
    default: return 0;
    }
}

/* Checks one value and fills its slots. */
static inline int
load_value(const Param *p, PyObject *value, alp_slot *slot)
{
    switch ((ParamKind)p->kind) {
    case P_IS: return value == p->object;
    case P_FLOAT:
        if (!PyFloat_CheckExact(value)) {
            return 0;
        }
        slot->d = PyFloat_AS_DOUBLE(value);
        return 1;
    case P_INT: {
        int overflow;
        if (!PyLong_CheckExact(value)) {
            return 0;
        }
        slot->i = PyLong_AsLongLongAndOverflow(value, &overflow);
        return !overflow;
    }
    case P_BOOL:
        slot->i = value == Py_True;
        return PyBool_Check(value);
    case P_COMPLEX: {
        if (!PyComplex_CheckExact(value)) {
            return 0;
        }
        Py_complex z = ((PyComplexObject *)value)->cval;
        slot[0].d = z.real;
        slot[1].d = z.imag;
        return 1;
    }
    case P_NP: return load_numpy_scalar(p, value, slot);
    case P_ARRAY: return load_array(p, value, slot);
    case P_CONST: case P_FP_MASK: case P_POLL: return 1; /* see load_param */
    }
    return 0;
}

static PyObject *
follow_path(const Param *p, PyObject *root)
{
    PyObject *value = Py_NewRef(root);
    for (int k = 0; k < p->path_len && value != NULL; k++) {
        PyObject *next = follow_name(value, p->path[k]);
        Py_DECREF(value);
        value = next;
    }
    return value;
}

/* 1 if it matches, 0 if not, -1 with an exception that belongs to the program. */
static inline int
load_param(const Param *p, Call *call, PyObject *const *args, Py_ssize_t nargs)
{
    alp_slot *slot = call->in + p->slot;
    if (p->kind == P_CONST) {
        *slot = p->constant;
        return 1;
    }
    if (p->kind == P_FP_MASK) {
        return error_mask(&slot->i);
    }
    if (p->kind == P_POLL) {
        slot->p = NULL;
        return 1;
    }
    if (p->index >= nargs) {
        return 0;
    }
    PyObject *value = args[p->index];
    if (p->path_len > 0) {
        value = follow_path(p, value);
        if (value == NULL) {
            return 0;
        }
        call->held[call->n_held++] = value;
    }
    return load_value(p, value, slot);
}

static void
find_span(const Param *p, const alp_slot *slot, uintptr_t *lo, uintptr_t *hi)
{
    uintptr_t first = (uintptr_t)slot[0].p, last = first;
    for (int k = 0; k < p->ndim; k++) {
        int64_t reach = (slot[1 + k].i - 1) * slot[1 + p->ndim + k].i * ((int64_t)1 << p->shift);
        if (reach < 0) {
            first += (uintptr_t)reach;
        }
        else {
            last += (uintptr_t)reach;
        }
    }
    *lo = first;
    *hi = last + ((uintptr_t)1 << p->shift);
}

/* Whether it is not proved that the two arrays share no byte; their spans are known. */
static int
pair_may_overlap(const Entry *e, const Pair *pair, const Call *call)
{
    const int a = pair->a, b = pair->b;
    if (call->lo[a] >= call->hi[b] || call->lo[b] >= call->hi[a]) {
        return 0;
    }
    View x, y;
    view_of_param(&x, e->param + a, call->in);
    view_of_param(&y, e->param + b, call->in);
    return !views_disjoint(&x, &y);
}

static int
pair_same(const Param *a, const Param *b, const alp_slot *in)
{
    return a->ndim == b->ndim && a->shift == b->shift &&
           memcmp(in + a->slot, in + b->slot, (size_t)(1 + 2 * a->ndim) * sizeof *in) == 0;
}

/* 1 if every parameter, range and alias condition of `e` holds for these arguments, 0 if not, -1 with an exception. */
static int
match_entry(const Entry *e, Call *call, PyObject *const *args, Py_ssize_t nargs)
{
    call->n_held = 0;
    call->in[0].i = e->threads;
    for (int i = 0; i < e->n_params; i++) {
        const Param *p = e->param + i;
        int matches = load_param(p, call, args, nargs);
        if (matches <= 0) {
            return matches;
        }
        if (p->wants_span) {
            find_span(p, call->in + p->slot, &call->lo[i], &call->hi[i]);
        }
    }
    for (int i = 0; i < e->n_ranges; i++) {
        int64_t value = call->in[e->range[i].slot].i;
        if (value < e->range[i].lo || value > e->range[i].hi) {
            return 0;
        }
    }
    for (int i = 0; i < e->n_disjoint; i++) {
        if (pair_may_overlap(e, e->disjoint_pair + i, call)) {
            return 0;
        }
    }
    for (int i = 0; i < e->n_overlapping; i++) {
        const Param *a = e->param + e->overlapping_pair[i].a, *b = e->param + e->overlapping_pair[i].b;
        if (!pair_may_overlap(e, e->overlapping_pair + i, call) ||
            (a->typenum == b->typenum && pair_same(a, b, call->in))) {
            return 0;
        }
    }
    for (int i = 0; i < e->n_same; i++) {
        if (!pair_same(e->param + e->same_pair[i].a, e->param + e->same_pair[i].b, call->in)) {
            return 0;
        }
    }
    return 1;
}

static PyObject *
describe_array(PyArrayObject *array)
{
    const char *obstacle = array_obstacle(array);
    if (obstacle != NULL) {
        PyObject *words = item_size(PyArray_DESCR(array)->type_num)
                              ? PyUnicode_FromFormat("ndarray (%s)", obstacle)
                              : PyUnicode_FromFormat("ndarray (%s %S)", obstacle, (PyObject *)PyArray_DESCR(array));
        return words == NULL ? NULL : Py_BuildValue("(sN)", "other", words);
    }
    char layout[2] = {array_layout(array), 0};
    return Py_BuildValue("(siisO)", "array", PyArray_DESCR(array)->type_num, PyArray_NDIM(array), layout,
                         PyArray_ISWRITEABLE(array) ? Py_True : Py_False);
}

/* The check tuple that `value` meets, or ("other", what it is). */
static PyObject *
describe(PyObject *Py_UNUSED(module), PyObject *value)
{
    int overflow;
    if (PyFloat_CheckExact(value)) {
        return Py_BuildValue("(s)", "float");
    }
    if (PyLong_CheckExact(value)) {
        PyLong_AsLongLongAndOverflow(value, &overflow);
        return overflow ? Py_BuildValue("(ss)", "other", "int (beyond 64 bits)") : Py_BuildValue("(s)", "int");
    }
    if (PyBool_Check(value)) {
        return Py_BuildValue("(s)", "bool");
    }
    if (PyComplex_CheckExact(value)) {
        return Py_BuildValue("(s)", "complex");
    }
    int numpy = numpy_if_loaded();
    if (numpy < 0) {
        return NULL;
    }
    if (numpy && Py_IS_TYPE(value, &PyArray_Type)) {
        return describe_array((PyArrayObject *)value);
    }
    for (int i = 0; numpy && i < N_TYPES; i++) {
        if (Py_TYPE(value) == scalar_types[supported_types[i]]) {
            return Py_BuildValue("(si)", "np", supported_types[i]);
        }
    }
    return Py_BuildValue("(sN)", "other", PyObject_GetAttrString((PyObject *)Py_TYPE(value), "__name__"));
}

#endif
