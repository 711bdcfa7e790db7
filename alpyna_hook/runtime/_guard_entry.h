/* The Python type Entry: one specialisation (or decision) of a site, parsed once into tables.
 *
 * in:  plain tuples, see Entry.__doc__
 * out: entry_type, its constructor and its readable attributes
 */
#ifndef ALPYNA_GUARD_ENTRY_H
#define ALPYNA_GUARD_ENTRY_H

#include <structmember.h>

#include "_guard_core.h"
#include "_guard_errstate.h"

static const char entry_doc[] =
    "Entry(params, kernel=0, *, threads=1, ranges=(), values=(), disjoint=(), overlapping=(), same=(),\n"
    "      journal=(), outs=(), record=-1, failed=None, calls_left=-1, time_always=False, release_gil=False,\n"
    "      device=None, data=None)\n\n"
    "One decision for one signature. A call matches if every param, range, value and alias condition holds.\n\n"
    "params    of (argument index, attribute path, check); check is one of ('is', object), ('int',), ('float',),\n"
    "          ('bool',), ('complex',), ('np', typenum), ('array', typenum, ndim, 'C'|'F'|'S', writeable), where\n"
    "          writeable also means that no two subscripts mean one element, and\n"
    "          ('const', int), ('fp_mask',) and ('poll',), which read no argument (index -1): a number, the FP flags\n"
    "          that NumPy's error state does not ignore (see set_error_state), and how the kernel asks for signals\n"
    "kernel    address of `int32_t kernel(const alp_slot *in, alp_slot *out)`; 0: the interpreter\n"
    "ranges    of (input slot, lo, hi), both ends included; values: of (input slot, int)\n"
    "disjoint  of (param, param): share no byte; same: of such, same memory, dims and strides;\n"
    "          overlapping: of such, may share some bytes otherwise\n"
    "journal   params (arrays) saved before the kernel and restored after a fault\n"
    "outs      of (kinds, slot, tag slot or -1, set slot or -1); kinds: 'int', 'float', 'bool', 'complex',\n"
    "          'int_from_double', 'np:<typenum>'\n"
    "record    first output slot of the resume record, where the kernel notes where it stopped; -1: none\n"
    "failed    called as failed(rc, out0, args, stopped) after rc != 0; its result is the site's.\n"
    "          stopped: None, but for rc 3 (the kernel stopped half-way): (live-outs, resume record), and\n"
    "          rc 4 (a signal handler raised): (live-outs, ())\n"
    "calls_left  how many calls it serves before the slow path is asked again; -1: all\n"
    "device    what is called in place of the kernel, as a Python function of the two addresses; None: nothing\n"
    "Counters: calls, faults (rc >= 2), declines (rc == 1), total_ns (sampled unless time_always).";

static int
fail(const char *message)
{
    PyErr_SetString(PyExc_ValueError, message);
    return -1;
}

static void *
new_table(Py_ssize_t n, size_t size)
{
    void *table = PyMem_Calloc(n > 0 ? (size_t)n : 1, size);
    if (table == NULL) {
        PyErr_NoMemory();
    }
    return table;
}

static int
slots_of_type(int typenum)
{
    return typenum == NPY_CFLOAT || typenum == NPY_CDOUBLE ? 2 : 1;
}

static int
parse_array_check(Param *p, PyObject *check)
{
    const char *kind, *layout;
    int writeable;
    if (!PyArg_ParseTuple(check, "siisp", &kind, &p->typenum, &p->ndim, &layout, &writeable)) {
        return -1;
    }
    int size = item_size(p->typenum);
    if (size == 0) {
        return fail("array check: unsupported type number");
    }
    if (p->ndim < 0 || p->ndim > NPY_MAXDIMS) {
        return fail("array check: bad ndim");
    }
    if (strlen(layout) != 1 || strchr("CFS", layout[0]) == NULL) {
        return fail("array check: layout must be 'C', 'F' or 'S'");
    }
    p->kind = P_ARRAY;
    p->layout = layout[0];
    p->writeable = (uint8_t)writeable;
    while ((1 << p->shift) < size) {
        p->shift++;
    }
    return ensure_numpy() < 0 ? -1 : 1 + 2 * p->ndim;
}

static int
parse_const_check(Param *p, PyObject *check)
{
    PyObject *value;
    const char *kind;
    if (!PyArg_ParseTuple(check, "sO!", &kind, &PyLong_Type, &value)) {
        return -1;
    }
    int overflow;
    p->kind = P_CONST;
    p->constant.i = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow > 0) {
        p->constant.u = PyLong_AsUnsignedLongLong(value);
    }
    if (overflow < 0 || PyErr_Occurred()) {
        PyErr_Clear();
        return fail("const check: beyond 64 bits");
    }
    return 1;
}

/* Fills kind and details of `p`; the number of slots it takes, or -1. */
static int
parse_check(Param *p, PyObject *check)
{
    if (!PyTuple_Check(check) || PyTuple_GET_SIZE(check) == 0 || !PyUnicode_Check(PyTuple_GET_ITEM(check, 0))) {
        return fail("a check must be a tuple that begins with its kind");
    }
    const char *kind = PyUnicode_AsUTF8(PyTuple_GET_ITEM(check, 0));
    Py_ssize_t n = PyTuple_GET_SIZE(check);
    if (kind == NULL) {
        return -1;
    }
    if (strcmp(kind, "array") == 0) {
        return parse_array_check(p, check);
    }
    if (strcmp(kind, "const") == 0) {
        return parse_const_check(p, check);
    }
    if (strcmp(kind, "is") == 0 && n == 2) {
        p->kind = P_IS;
        p->object = Py_NewRef(PyTuple_GET_ITEM(check, 1));
        return 0;
    }
    if (strcmp(kind, "np") == 0) {
        p->kind = P_NP;
        if (!PyArg_ParseTuple(check, "si", &kind, &p->typenum) || ensure_numpy() < 0) {
            return -1;
        }
        if (item_size(p->typenum) == 0) {
            return fail("np check: unsupported type number");
        }
        p->object = Py_NewRef((PyObject *)scalar_types[p->typenum]);
        return slots_of_type(p->typenum);
    }
    static const struct { const char *name; ParamKind kind; int slots; } plain[] = {
        {"int", P_INT, 1}, {"float", P_FLOAT, 1}, {"bool", P_BOOL, 1}, {"complex", P_COMPLEX, 2},
        {"fp_mask", P_FP_MASK, 1}, {"poll", P_POLL, 1},
    };
    if (n == 1 && strcmp(kind, "fp_mask") == 0 && error_get == NULL) {
        return fail("fp_mask check: set_error_state has not been called");
    }
    for (size_t i = 0; n == 1 && i < sizeof plain / sizeof plain[0]; i++) {
        if (strcmp(kind, plain[i].name) == 0) {
            p->kind = (uint8_t)plain[i].kind;
            return plain[i].slots;
        }
    }
    return fail("unknown check");
}

static int
parse_param(Param *p, PyObject *item)
{
    PyObject *path, *check;
    if (!PyArg_ParseTuple(item, "iO!O", &p->index, &PyTuple_Type, &path, &check)) {
        return -1;
    }
    int slots = parse_check(p, check);
    if (slots < 0) {
        return -1;
    }
    if (p->index < 0 && p->kind != P_CONST && p->kind != P_FP_MASK && p->kind != P_POLL) {
        return fail("argument index out of range");
    }
    if (PyTuple_GET_SIZE(path) > MAX_PATH) {
        return fail("attribute path too long");
    }
    for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(path); k++) {
        PyObject *name = PyTuple_GET_ITEM(path, k);
        if (!PyUnicode_CheckExact(name)) {
            return fail("attribute path must hold strings");
        }
        Py_INCREF(name);
        PyUnicode_InternInPlace(&name);
        p->path[p->path_len++] = name;
    }
    return slots;
}

static int
parse_params(Entry *e)
{
    Py_ssize_t n = PyTuple_GET_SIZE(e->params);
    if (n > MAX_PARAMS) {
        return fail("too many params");
    }
    if ((e->param = new_table(n, sizeof(Param))) == NULL) {
        return -1;
    }
    e->n_in = 1;
    for (Py_ssize_t i = 0; i < n; i++) {
        Param *p = e->param + i;
        e->n_params++; /* before parsing, so that what a failed parse leaves is released */
        int slots = parse_param(p, PyTuple_GET_ITEM(e->params, i));
        if (slots < 0) {
            return -1;
        }
        p->slot = e->n_in;
        e->poll_slot = p->kind == P_POLL ? p->slot : e->poll_slot;
        e->n_in += slots;
        if (e->n_in > MAX_IN) {
            return fail("too many input slots");
        }
    }
    return 0;
}

static int
parse_ranges(Entry *e)
{
    Py_ssize_t n_ranges = PyTuple_GET_SIZE(e->ranges), n_values = PyTuple_GET_SIZE(e->values);
    if ((e->range = new_table(n_ranges + n_values, sizeof(Range))) == NULL) {
        return -1;
    }
    for (Py_ssize_t i = 0; i < n_ranges + n_values; i++) {
        Range *r = e->range + i;
        long long lo, hi;
        if (i < n_ranges) {
            if (!PyArg_ParseTuple(PyTuple_GET_ITEM(e->ranges, i), "iLL", &r->slot, &lo, &hi)) {
                return -1;
            }
        }
        else {
            if (!PyArg_ParseTuple(PyTuple_GET_ITEM(e->values, i - n_ranges), "iL", &r->slot, &lo)) {
                return -1;
            }
            hi = lo;
        }
        r->lo = lo;
        r->hi = hi;
        if (r->slot < 0 || r->slot >= e->n_in) {
            return fail("range on a slot out of bounds");
        }
        e->n_ranges++;
    }
    return 0;
}

static int
is_array(const Entry *e, int param)
{
    return param >= 0 && param < e->n_params && e->param[param].kind == P_ARRAY;
}

static int
parse_pairs(Entry *e, PyObject *given, Pair **table, int *count)
{
    Py_ssize_t n = PyTuple_GET_SIZE(given);
    if ((*table = new_table(n, sizeof(Pair))) == NULL) {
        return -1;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        Pair *pair = *table + i;
        if (!PyArg_ParseTuple(PyTuple_GET_ITEM(given, i), "ii", &pair->a, &pair->b)) {
            return -1;
        }
        if (!is_array(e, pair->a) || !is_array(e, pair->b)) {
            return fail("an alias condition must name two array params");
        }
        (*count)++;
    }
    return 0;
}

static int
parse_journal(Entry *e)
{
    Py_ssize_t n = PyTuple_GET_SIZE(e->journal);
    if (n > MAX_PARAMS) {
        return fail("too many journaled params");
    }
    if ((e->journaled = new_table(n, sizeof(int))) == NULL) {
        return -1;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        long param = PyLong_AsLong(PyTuple_GET_ITEM(e->journal, i));
        if (param == -1 && PyErr_Occurred()) {
            return -1;
        }
        if (param > MAX_PARAMS || !is_array(e, (int)param) || !e->param[param].writeable) {
            return fail("a journaled param must be a writeable array");
        }
        e->journaled[e->n_journal++] = (int)param;
    }
    return 0;
}

/* Kind of live-out from its name; 0 slots on error. */
static int
parse_out_kind(PyObject *name, int *slots)
{
    static const struct { const char *name; int kind; int slots; } plain[] = {
        {"int", O_INT, 1}, {"float", O_FLOAT, 1}, {"bool", O_BOOL, 1}, {"complex", O_COMPLEX, 2},
        {"int_from_double", O_INT_FROM_DOUBLE, 1},
    };
    const char *text = PyUnicode_Check(name) ? PyUnicode_AsUTF8(name) : NULL;
    *slots = 0;
    for (size_t i = 0; text != NULL && i < sizeof plain / sizeof plain[0]; i++) {
        if (strcmp(text, plain[i].name) == 0) {
            *slots = plain[i].slots;
            return plain[i].kind;
        }
    }
    if (text != NULL && strncmp(text, "np:", 3) == 0) {
        char *end;
        long typenum = strtol(text + 3, &end, 10);
        if (end != text + 3 && *end == 0 && typenum >= 0 && typenum <= NPY_CDOUBLE && item_size((int)typenum) > 0) {
            *slots = ensure_numpy() < 0 ? 0 : slots_of_type((int)typenum);
            return (int)typenum;
        }
    }
    if (!PyErr_Occurred()) {
        fail("unknown kind of live-out");
    }
    return 0;
}

static int
need_out(Entry *e, int slot, int slots)
{
    if (slot < 1 || slot + slots > MAX_OUT) {
        return fail("output slot out of bounds");
    }
    e->n_out = Py_MAX(e->n_out, slot + slots);
    return 0;
}

static int
parse_out(Entry *e, Out *o, PyObject *item)
{
    PyObject *kinds;
    if (!PyArg_ParseTuple(item, "O!iii", &PyTuple_Type, &kinds, &o->slot, &o->tag_slot, &o->set_slot)) {
        return -1;
    }
    Py_ssize_t n = PyTuple_GET_SIZE(kinds);
    if (n < 1 || n > MAX_KINDS || (n > 1 && o->tag_slot < 0)) {
        return fail("a live-out needs a kind, and a tag slot if there are several");
    }
    for (Py_ssize_t k = 0; k < n; k++) {
        int slots;
        o->kinds[k] = parse_out_kind(PyTuple_GET_ITEM(kinds, k), &slots);
        if (slots == 0 || need_out(e, o->slot, slots) < 0) {
            return -1;
        }
        o->n_kinds++;
    }
    if ((o->tag_slot >= 0 && need_out(e, o->tag_slot, 1) < 0) ||
        (o->set_slot >= 0 && need_out(e, o->set_slot, 1) < 0)) {
        return -1;
    }
    return 0;
}

static int
parse_outs(Entry *e)
{
    Py_ssize_t n = PyTuple_GET_SIZE(e->outs);
    if (n > MAX_OUT) {
        return fail("too many live-outs");
    }
    if ((e->out = new_table(n, sizeof(Out))) == NULL) {
        return -1;
    }
    e->n_out = 1;
    for (Py_ssize_t i = 0; i < n; i++) {
        if (parse_out(e, e->out + i, PyTuple_GET_ITEM(e->outs, i)) < 0) {
            return -1;
        }
        e->n_outs++;
    }
    return e->record >= 0 && need_out(e, e->record, RESUME_SLOTS) < 0 ? -1 : 0;
}

static int
parse_entry(Entry *e)
{
    if (parse_params(e) < 0 || parse_ranges(e) < 0 ||
        parse_pairs(e, e->disjoint, &e->disjoint_pair, &e->n_disjoint) < 0 ||
        parse_pairs(e, e->overlapping, &e->overlapping_pair, &e->n_overlapping) < 0 ||
        parse_pairs(e, e->same, &e->same_pair, &e->n_same) < 0 || parse_journal(e) < 0 || parse_outs(e) < 0) {
        return -1;
    }
    for (int i = 0; i < e->n_disjoint; i++) {
        e->param[e->disjoint_pair[i].a].wants_span = 1;
        e->param[e->disjoint_pair[i].b].wants_span = 1;
    }
    for (int i = 0; i < e->n_overlapping; i++) {
        e->param[e->overlapping_pair[i].a].wants_span = 1;
        e->param[e->overlapping_pair[i].b].wants_span = 1;
    }
    return 0;
}

static PyObject *
entry_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"params", "kernel", "threads", "ranges", "values", "disjoint", "overlapping", "same",
                            "journal", "outs", "record", "failed", "calls_left", "time_always", "release_gil",
                            "device", "data", NULL};
    Entry *e = (Entry *)type->tp_alloc(type, 0);
    if (e == NULL) {
        return NULL;
    }
    PyObject *params, *ranges = NULL, *values = NULL, *disjoint = NULL, *overlapping = NULL, *same = NULL;
    PyObject *journal = NULL, *outs = NULL;
    PyObject *failed = Py_None, *device = Py_None, *data = Py_None;
    int time_always = 0, release_gil = 0;
    e->threads = 1;
    e->calls_left = -1;
    e->record = -1;
    e->poll_slot = -1;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|K$LOOOOOOOiOLppOO:Entry", names, &params, &e->kernel, &e->threads,
                                     &ranges, &values, &disjoint, &overlapping, &same, &journal, &outs, &e->record,
                                     &failed,
                                     &e->calls_left, &time_always, &release_gil, &device, &data)) {
        Py_DECREF(e);
        return NULL;
    }
    PyObject **tables[] = {&e->params, &e->ranges, &e->values, &e->disjoint, &e->overlapping, &e->same, &e->journal,
                           &e->outs};
    PyObject *given[] = {params, ranges, values, disjoint, overlapping, same, journal, outs};
    for (size_t i = 0; i < sizeof given / sizeof given[0]; i++) {
        *tables[i] = given[i] == NULL ? PyTuple_New(0) : PySequence_Tuple(given[i]);
        if (*tables[i] == NULL) {
            Py_DECREF(e);
            return NULL;
        }
    }
    e->failed = Py_NewRef(failed);
    e->device = Py_NewRef(device);
    e->data = Py_NewRef(data);
    e->time_always = (char)time_always;
    e->release_gil = (char)release_gil;
    if (parse_entry(e) < 0) {
        Py_DECREF(e);
        return NULL;
    }
    return (PyObject *)e;
}

static int
entry_traverse(PyObject *self, visitproc visit, void *arg)
{
    Entry *e = (Entry *)self;
    Py_VISIT(e->params);
    Py_VISIT(e->failed);
    Py_VISIT(e->device);
    Py_VISIT(e->data);
    for (int i = 0; i < e->n_params; i++) {
        Py_VISIT(e->param[i].object);
    }
    return 0;
}

/* Only `failed` and `data` can close a cycle that a program makes; the parsed tables stay valid, so that
 * an entry met during a collection is still safe to call. */
static int
entry_clear(PyObject *self)
{
    Entry *e = (Entry *)self;
    Py_CLEAR(e->failed);
    Py_CLEAR(e->device);
    Py_CLEAR(e->data);
    return 0;
}

static void
entry_dealloc(PyObject *self)
{
    Entry *e = (Entry *)self;
    PyObject_GC_UnTrack(self);
    entry_clear(self);
    for (int i = 0; i < e->n_params; i++) {
        Py_CLEAR(e->param[i].object);
        for (int k = 0; k < e->param[i].path_len; k++) {
            Py_CLEAR(e->param[i].path[k]);
        }
    }
    PyObject *tables[] = {e->params, e->ranges, e->values, e->disjoint, e->overlapping, e->same, e->journal, e->outs};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        Py_XDECREF(tables[i]);
    }
    PyMem_Free(e->param);
    PyMem_Free(e->range);
    PyMem_Free(e->disjoint_pair);
    PyMem_Free(e->overlapping_pair);
    PyMem_Free(e->same_pair);
    PyMem_Free(e->journaled);
    PyMem_Free(e->out);
    Py_TYPE(self)->tp_free(self);
}

#define FIELD(name, type, flags) {#name, type, offsetof(Entry, name), flags, NULL}
static PyMemberDef entry_members[] = {
    FIELD(params, T_OBJECT, READONLY), FIELD(ranges, T_OBJECT, READONLY), FIELD(values, T_OBJECT, READONLY),
    FIELD(disjoint, T_OBJECT, READONLY), FIELD(overlapping, T_OBJECT, READONLY), FIELD(same, T_OBJECT, READONLY),
    FIELD(journal, T_OBJECT, READONLY), FIELD(outs, T_OBJECT, READONLY), FIELD(kernel, T_ULONGLONG, READONLY), FIELD(failed, T_OBJECT, 0),
    FIELD(record, T_INT, READONLY),
    FIELD(data, T_OBJECT, 0), FIELD(threads, T_LONGLONG, 0), FIELD(calls_left, T_LONGLONG, 0),
    FIELD(time_always, T_BOOL, 0), FIELD(release_gil, T_BOOL, 0), FIELD(device, T_OBJECT, READONLY),
    FIELD(calls, T_LONGLONG, READONLY),
    FIELD(faults, T_LONGLONG, READONLY), FIELD(declines, T_LONGLONG, READONLY),
    FIELD(total_ns, T_LONGLONG, READONLY), {NULL, 0, 0, 0, NULL},
};
#undef FIELD

static PyTypeObject entry_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "alpyna_hook.runtime._guard.Entry",
    .tp_doc = entry_doc,
    .tp_basicsize = sizeof(Entry),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = entry_new,
    .tp_dealloc = entry_dealloc,
    .tp_traverse = entry_traverse,
    .tp_clear = entry_clear,
    .tp_members = entry_members,
};

#endif
