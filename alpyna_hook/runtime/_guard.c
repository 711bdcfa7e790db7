/* The guard: what a site in a rewritten module calls. See alpyna_hook/runtime/guard.py for the contract
 * and guard_py.py for the same behaviour in Python.
 *
 * in:  Site(key, slow), Entry(...) objects installed in it, then calls site(*roots)
 * out: None (run the original loop) or the tuple of live-outs
 *
 * Importing this module does not import NumPy.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#define NPY_TARGET_VERSION NPY_2_0_API_VERSION
#include <numpy/arrayobject.h>
#include <numpy/arrayscalars.h>
#include <numpy/npy_math.h>

#include <stddef.h>
#include <string.h>

#include "_guard_core.h"
#include "_guard_errstate.h"
#include "_guard_memory.h"
#include "_guard_match.h"
#include "_guard_entry.h"
#include "_guard_poll.h"

enum { HALF_WAY = 3 };       /* a kernel's return code: codegen/kernel.py */
enum { TIMING_PERIOD = 16 }; /* calls between two timed ones; a power of two */

/* ---- live-outs ---- */

static PyObject *
numpy_scalar(int typenum, const alp_slot *s)
{
    if (typenum == NPY_BOOL) {
        PyArrayScalar_RETURN_BOOL_FROM_LONG(s->i != 0);
    }
    PyObject *value = scalar_types[typenum]->tp_alloc(scalar_types[typenum], 0);
    if (value == NULL) {
        return NULL;
    }
    switch (typenum) {
    case NPY_BYTE: PyArrayScalar_ASSIGN(value, Byte, (npy_byte)s->i); break;
    case NPY_UBYTE: PyArrayScalar_ASSIGN(value, UByte, (npy_ubyte)s->u); break;
    case NPY_SHORT: PyArrayScalar_ASSIGN(value, Short, (npy_short)s->i); break;
    case NPY_USHORT: PyArrayScalar_ASSIGN(value, UShort, (npy_ushort)s->u); break;
    case NPY_INT: PyArrayScalar_ASSIGN(value, Int, (npy_int)s->i); break;
    case NPY_UINT: PyArrayScalar_ASSIGN(value, UInt, (npy_uint)s->u); break;
    case NPY_LONG: PyArrayScalar_ASSIGN(value, Long, (npy_long)s->i); break;
    case NPY_ULONG: PyArrayScalar_ASSIGN(value, ULong, (npy_ulong)s->u); break;
    case NPY_LONGLONG: PyArrayScalar_ASSIGN(value, LongLong, s->i); break;
    case NPY_ULONGLONG: PyArrayScalar_ASSIGN(value, ULongLong, s->u); break;
    case NPY_FLOAT: PyArrayScalar_ASSIGN(value, Float, s->f); break;
    case NPY_DOUBLE: PyArrayScalar_ASSIGN(value, Double, s->d); break;
    case NPY_CFLOAT:
        npy_csetrealf(&PyArrayScalar_VAL(value, CFloat), s[0].f);
        npy_csetimagf(&PyArrayScalar_VAL(value, CFloat), s[1].f);
        break;
    case NPY_CDOUBLE:
        npy_csetreal(&PyArrayScalar_VAL(value, CDouble), s[0].d);
        npy_csetimag(&PyArrayScalar_VAL(value, CDouble), s[1].d);
        break;
    default: break;
    }
    return value;
}

static PyObject *
out_value(const Out *o, const alp_slot *out)
{
    if (o->set_slot >= 0 && out[o->set_slot].i == 0) {
        return Py_NewRef(unset);
    }
    int64_t tag = o->tag_slot >= 0 ? out[o->tag_slot].i : 0;
    if (tag < 0 || tag >= o->n_kinds) {
        PyErr_Format(PyExc_SystemError, "alpyna: a kernel returned class tag %lld of %d", (long long)tag, o->n_kinds);
        return NULL;
    }
    const alp_slot *s = out + o->slot;
    switch (o->kinds[tag]) {
    case O_INT: return PyLong_FromLongLong(s->i);
    case O_FLOAT: return PyFloat_FromDouble(s->d);
    case O_BOOL: return PyBool_FromLong(s->i != 0);
    case O_COMPLEX: return PyComplex_FromDoubles(s[0].d, s[1].d);
    case O_INT_FROM_DOUBLE: return PyLong_FromDouble(s->d);
    default: return numpy_scalar(o->kinds[tag], s);
    }
}

static PyObject *
build_result(const Entry *e, const alp_slot *out)
{
    PyObject *result = PyTuple_New(e->n_outs);
    for (int i = 0; result != NULL && i < e->n_outs; i++) {
        PyObject *value = out_value(e->out + i, out);
        if (value == NULL) {
            Py_CLEAR(result);
            break;
        }
        PyTuple_SET_ITEM(result, i, value);
    }
    return result;
}

/* Of a kernel that stopped half-way: (live-outs, resume record). */
static PyObject *
build_stopped(const Entry *e, const alp_slot *out)
{
    PyObject *record = PyTuple_New(e->record >= 0 ? RESUME_SLOTS : 0);
    for (int i = 0; record != NULL && i < PyTuple_GET_SIZE(record); i++) {
        PyObject *value = PyLong_FromLongLong((long long)out[e->record + i].i);
        if (value == NULL) {
            Py_CLEAR(record);
            break;
        }
        PyTuple_SET_ITEM(record, i, value);
    }
    PyObject *live_outs = record != NULL ? build_result(e, out) : NULL;
    PyObject *result = live_outs != NULL ? PyTuple_Pack(2, live_outs, record) : NULL;
    Py_XDECREF(live_outs);
    Py_XDECREF(record);
    return result;
}

/* ---- calls back into Python ---- */

/* Ends an exception of Alpyna's own: reported to on_error, and the original loop runs. Interrupts and
 * exits (not Exceptions) belong to the program and pass, as does what on_error returns True for. */
static PyObject *
swallow(Site *site)
{
    if (!PyErr_ExceptionMatches(PyExc_Exception)) {
        return NULL;
    }
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != NULL && value != NULL) {
        PyException_SetTraceback(value, traceback);
    }
    if (on_error != NULL && value != NULL) {
        PyObject *callback = Py_NewRef(on_error);
        PyObject *done = PyObject_CallFunctionObjArgs(callback, site->key, value, NULL);
        Py_DECREF(callback);
        if (done == Py_True) {
            Py_DECREF(done);
            PyErr_Restore(type, value, traceback);
            return NULL;
        }
        Py_XDECREF(done);
    }
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
    if (PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_Exception)) {
            return NULL;
        }
        PyErr_Clear();
    }
    Py_RETURN_NONE;
}

static PyObject *
pack_args(PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *tuple = PyTuple_New(nargs);
    for (Py_ssize_t i = 0; tuple != NULL && i < nargs; i++) {
        PyTuple_SET_ITEM(tuple, i, Py_NewRef(args[i]));
    }
    return tuple;
}

static PyObject *
call_slow(Site *site, PyObject *const *args, Py_ssize_t nargs)
{
    if (site->slow == Py_None) {
        Py_RETURN_NONE;
    }
    PyObject *tuple = pack_args(args, nargs);
    if (tuple == NULL) {
        return swallow(site);
    }
    PyObject *slow = Py_NewRef(site->slow); /* may be replaced while it runs */
    PyObject *result = PyObject_CallOneArg(slow, tuple);
    Py_DECREF(slow);
    Py_DECREF(tuple);
    return result != NULL ? result : swallow(site);
}

/* What `failed` returns. With `error` it must not be left half-way: what a handler raises meanwhile in the main thread
 * waits there (strong) for the program's names to have their values, and `failed` is called again. */
static PyObject *
tell_failed(Entry *e, int32_t rc, int64_t detail, PyObject *args, PyObject *stopped, PyObject **error)
{
    PyObject *failed = Py_NewRef(e->failed), *result = NULL;
    for (int tries = 0; result == NULL && tries < MOST_ERRORS; tries++) {
        result = PyObject_CallFunction(failed, "iLOO", (int)rc, (long long)detail, args, stopped);
        if (error == NULL || !in_main_thread()) {
            break;
        }
        if (result == NULL) {
            *error = take_later_error(*error);
        }
    }
    Py_DECREF(failed);
    return result;
}

static PyObject *
call_failed(Site *site, Entry *e, int32_t rc, const alp_slot *out, PyObject *const *args, Py_ssize_t nargs)
{
    if (e->failed == NULL || e->failed == Py_None) {
        Py_RETURN_NONE;
    }
    PyObject *stopped = rc == HALF_WAY ? build_stopped(e, out) : Py_NewRef(Py_None);
    if (stopped == NULL) {
        return NULL; /* out of memory: half of the loop is done, which must not be run again */
    }
    PyObject *tuple = pack_args(args, nargs);
    if (tuple == NULL) {
        Py_DECREF(stopped);
        return rc == HALF_WAY ? NULL : swallow(site);
    }
    PyObject *error = NULL;
    PyObject *result = tell_failed(e, rc, out[0].i, tuple, stopped, rc == HALF_WAY ? &error : NULL);
    Py_DECREF(tuple);
    Py_DECREF(stopped);
    if (rc == HALF_WAY && result == Py_False && in_main_thread() && hold(error != NULL ? error : Py_None) < 0) {
        Py_CLEAR(result);
    }
    if (result == NULL && error != NULL) {
        put_error(Py_NewRef(error));
    }
    Py_XDECREF(error);
    return result != NULL ? result : swallow(site);
}

/* ---- tracers ---- */

/* CPython 3.12+: debuggers, coverage and cProfile may use sys.monitoring instead of the thread's trace
 * functions. Registering a callback is an audited event: from the first one on, the tools are asked for
 * at each call; a program without any pays one test. */
static int monitoring_used;

#if PY_VERSION_HEX >= 0x030C0000
static int
audit_hook(const char *event, PyObject *Py_UNUSED(args), void *Py_UNUSED(data))
{
    if (strcmp(event, "sys.monitoring.register_callback") == 0) {
        monitoring_used = 1;
    }
    return 0;
}

/* 1 if a tool is registered, 0 if not, -1 with an exception. */
static int
monitoring_active(void)
{
    PyObject *monitoring = PySys_GetObject("monitoring"); /* borrowed */
    for (int tool = 0; monitoring != NULL && tool < 6; tool++) {
        PyObject *name = PyObject_CallMethod(monitoring, "get_tool", "i", tool);
        if (name == NULL) {
            return -1;
        }
        Py_DECREF(name);
        if (name != Py_None) {
            return 1;
        }
    }
    return 0;
}

static int
watch_monitoring(void)
{
    if (PySys_AddAuditHook(audit_hook, NULL) < 0) {
        return -1;
    }
    monitoring_used = monitoring_active();
    return monitoring_used < 0 ? -1 : 0;
}
#else
static int monitoring_active(void) { return 0; }
static int watch_monitoring(void) { return 0; }
#endif

/* A debugger, coverage or profiler must see the loop run. */
static inline int
is_traced(void)
{
    PyThreadState *thread = PyThreadState_Get();
    if (thread->c_tracefunc != NULL || thread->c_profilefunc != NULL) {
        return 1;
    }
    if (monitoring_used && monitoring_active() != 0) {
        PyErr_Clear();
        return 1;
    }
    return 0;
}

/* ---- the call ---- */

/* Saves the journaled arrays. NULL with *ok = 1 if there are none, with *ok = 0 if out of memory. */
static char *
save_journal(const Entry *e, const alp_slot *in, int *ok)
{
    size_t size = 0;
    View view;
    *ok = 1;
    if (e->n_journal == 0) {
        return NULL;
    }
    for (int i = 0; i < e->n_journal; i++) {
        view_of_param(&view, e->param + e->journaled[i], in);
        size += view_bytes(&view);
    }
    char *buffer = journal_take(size), *at = buffer;
    if (buffer == NULL) {
        *ok = 0;
        return NULL;
    }
    for (int i = 0; i < e->n_journal; i++) {
        view_of_param(&view, e->param + e->journaled[i], in);
        at = view_copy(&view, at, 0);
    }
    return buffer;
}

static void
restore_journal(const Entry *e, const alp_slot *in, char *buffer)
{
    View view;
    char *at = buffer;
    for (int i = 0; i < e->n_journal; i++) {
        view_of_param(&view, e->param + e->journaled[i], in);
        at = view_copy(&view, at, 1);
    }
}

/* A device's kernel. -1 with an exception if it could not even be entered (the recursion limit, a signal): it lets none
 * out. */
static int32_t
call_device(PyObject *device, const alp_slot *in, alp_slot *out)
{
    PyObject *called = Py_NewRef(device);
    PyObject *result = PyObject_CallFunction(called, "KK", (unsigned long long)(uintptr_t)in,
                                             (unsigned long long)(uintptr_t)out);
    Py_DECREF(called);
    if (result == NULL) {
        return -1;
    }
    long rc = PyLong_AsLong(result);
    Py_DECREF(result);
    return (int32_t)rc;
}

static int32_t
call_kernel(Entry *e, const alp_slot *in, alp_slot *out, Poll *poll)
{
    alp_kernel kernel = (alp_kernel)(uintptr_t)e->kernel;
    int timed = e->time_always || (e->calls & (TIMING_PERIOD - 1)) == 0;
    long long weight = e->calls + 1 - e->last_timed; /* this call stands for those since the last timed one */
    int32_t rc;
    e->calls++;
    int64_t start = timed ? now_ns() : 0;
    if (e->device != Py_None) {
        rc = call_device(e->device, in, out);
    }
    else if (e->release_gil) {
        poll->released = PyEval_SaveThread();
        rc = kernel(in, out);
        PyEval_RestoreThread(poll->released);
    }
    else {
        rc = kernel(in, out);
    }
    if (timed && rc != STOPPED) {
        int64_t took = now_ns() - start;
        e->total_ns += took * weight;
        e->last_timed = e->last_timed + weight;
        e->release_gil |= took > GIL_NS;
    }
    return rc;
}

/* A handler of the program has raised, when the loop was done or between two of its iterations. The program is to raise
 * that once its names have the values in `live_outs` (stolen): see rewrite.py. */
static PyObject *
stop(Entry *e, PyObject *error, PyObject *live_outs, PyObject *const *args, Py_ssize_t nargs)
{
    if (live_outs == NULL) { /* out of memory */
        Py_DECREF(error);
        return NULL;
    }
    PyObject *tuple = e->n_outs > 0 && e->failed != NULL && e->failed != Py_None ? pack_args(args, nargs) : NULL;
    PyObject *stopped = tuple != NULL ? Py_BuildValue("(O())", live_outs) : NULL;
    PyObject *result = stopped != NULL ? tell_failed(e, STOPPED, 0, tuple, stopped, &error) : NULL;
    Py_XDECREF(stopped);
    Py_XDECREF(tuple);
    Py_DECREF(live_outs);
    if (result == Py_False && hold(error) == 0) {
        Py_DECREF(error);
        return result;
    }
    Py_XDECREF(result); /* there are no names */
    PyErr_Clear();
    put_error(error);
    return NULL;
}

/* Signals that came in the last moments of a kernel: their handlers would else run before the program has assigned the
 * live-outs (stolen) of what is done. */
static PyObject *
done(Entry *e, PyObject *live_outs, PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *error = e->n_outs > 0 && live_outs != NULL && in_main_thread() ? raised_by_handlers() : NULL;
    return error != NULL ? stop(e, error, live_outs, args, nargs) : live_outs;
}

/* Runs a matched entry that has a kernel. Its arguments are held by the caller, the entry too. */
static PyObject *
run_entry(Site *site, Entry *e, Call *call, PyObject *const *args, Py_ssize_t nargs)
{
    alp_slot out[MAX_OUT];
    int saved;
    memset(out, 0, (size_t)e->n_out * sizeof *out);
    char *journal = save_journal(e, call->in, &saved);
    if (!saved) {
        Py_RETURN_NONE;
    }
    Poll poll;
    start_poll(&poll);
    if (e->poll_slot >= 0 && in_main_thread()) {
        call->in[e->poll_slot].p = &poll;
    }
    int32_t rc = call_kernel(e, call->in, out, &poll);
    if (rc > 1 && rc != STOPPED && journal != NULL) {
        restore_journal(e, call->in, journal);
    }
    if (journal != NULL) {
        journal_give(journal);
    }
    if (rc == -1 && PyErr_Occurred()) {
        return swallow(site); /* nothing is done */
    }
    if (rc == 0) {
        return done(e, build_result(e, out), args, nargs);
    }
    if (rc == STOPPED) {
        return stop(e, poll.error, build_result(e, out), args, nargs);
    }
    if (poll.error != NULL) { /* a fault was found then, and all is as it was at entry */
        put_error(poll.error);
        return NULL;
    }
    if (rc == 1) {
        e->declines++;
    }
    else {
        e->faults++;
    }
    return call_failed(site, e, rc, out, args, nargs);
}

static void
move_to_front(Site *site, Entry *e, int at)
{
    if (at > 0 && at < site->n && site->entries[at] == e) {
        memmove(site->entries + 1, site->entries, (size_t)at * sizeof *site->entries);
        site->entries[0] = e;
    }
}

static PyObject *
site_call(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Site *site = (Site *)self;
    Py_ssize_t nargs = PyVectorcall_NARGS(nargsf);
    if (kwnames != NULL && PyTuple_GET_SIZE(kwnames) > 0) {
        PyErr_SetString(PyExc_TypeError, "a site takes no keyword arguments");
        return NULL;
    }
    if (is_traced() || (asking && in_main_thread())) {
        Py_RETURN_NONE;
    }
    Call call;
    for (int i = 0; i < site->n; i++) {
        Entry *e = (Entry *)Py_NewRef((PyObject *)site->entries[i]); /* callbacks may change the list */
        PyObject *result;
        int matches = match_entry(e, &call, args, nargs);
        if (matches <= 0) {
            release_held(&call);
            Py_DECREF(e);
            if (matches < 0) {
                return NULL;
            }
            continue;
        }
        move_to_front(site, e, i);
        if (e->calls_left == 0) {
            result = call_slow(site, args, nargs);
        }
        else {
            e->calls_left -= e->calls_left > 0;
            if (e->kernel != 0) {
                result = run_entry(site, e, &call, args, nargs);
            }
            else {
                e->calls++;
                result = Py_NewRef(Py_None);
            }
        }
        release_held(&call);
        Py_DECREF(e);
        return result;
    }
    return call_slow(site, args, nargs);
}

/* ---- the type Site ---- */

static PyObject *
site_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"key", "slow", NULL};
    PyObject *key, *slow;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "UO:Site", names, &key, &slow)) {
        return NULL;
    }
    Site *site = (Site *)type->tp_alloc(type, 0);
    if (site != NULL) {
        site->vectorcall = site_call;
        site->key = Py_NewRef(key);
        site->slow = Py_NewRef(slow);
    }
    return (PyObject *)site;
}

static PyObject *
site_clear_entries(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    Site *site = (Site *)self;
    while (site->n > 0) {
        Py_DECREF(site->entries[--site->n]); /* out of the list before code can run */
    }
    Py_RETURN_NONE;
}

static PyObject *
site_remove(PyObject *self, PyObject *entry)
{
    Site *site = (Site *)self;
    for (int i = 0; i < site->n; i++) {
        if ((PyObject *)site->entries[i] == entry) {
            site->n--;
            memmove(site->entries + i, site->entries + i + 1, (size_t)(site->n - i) * sizeof *site->entries);
            Py_DECREF(entry);
            Py_RETURN_TRUE;
        }
    }
    Py_RETURN_FALSE;
}

static PyObject *
site_install(PyObject *self, PyObject *entry)
{
    Site *site = (Site *)self;
    if (!Py_IS_TYPE(entry, &entry_type)) {
        PyErr_SetString(PyExc_TypeError, "install() takes an Entry");
        return NULL;
    }
    Entry *evicted = NULL;
    if (site->n == MAX_ENTRIES) {
        evicted = site->entries[--site->n];
    }
    memmove(site->entries + 1, site->entries, (size_t)site->n * sizeof *site->entries);
    site->entries[0] = (Entry *)Py_NewRef(entry);
    site->n++;
    Py_XDECREF(evicted);
    Py_RETURN_NONE;
}

static PyObject *
site_entries(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    Site *site = (Site *)self;
    int n = site->n;
    PyObject *tuple = PyTuple_New(n);
    for (int i = 0; tuple != NULL && i < n; i++) {
        PyTuple_SET_ITEM(tuple, i, Py_NewRef((PyObject *)site->entries[i]));
    }
    return tuple;
}

static PyObject *
site_repr(PyObject *self)
{
    return PyUnicode_FromFormat("<Site %U>", ((Site *)self)->key);
}

static int
site_traverse(PyObject *self, visitproc visit, void *arg)
{
    Site *site = (Site *)self;
    Py_VISIT(site->slow);
    for (int i = 0; i < site->n; i++) {
        Py_VISIT(site->entries[i]);
    }
    return 0;
}

static int
site_gc_clear(PyObject *self)
{
    Site *site = (Site *)self;
    Py_XSETREF(site->slow, Py_NewRef(Py_None)); /* never NULL: the program may still call the site */
    Py_DECREF(site_clear_entries(self, NULL));
    return 0;
}

static void
site_dealloc(PyObject *self)
{
    Site *site = (Site *)self;
    PyObject_GC_UnTrack(self);
    if (site->weakrefs != NULL) {
        PyObject_ClearWeakRefs(self);
    }
    site_gc_clear(self);
    Py_CLEAR(site->slow);
    Py_CLEAR(site->key);
    Py_TYPE(self)->tp_free(self);
}

static PyMemberDef site_members[] = {
    {"key", T_OBJECT, offsetof(Site, key), READONLY, NULL},
    {"slow", T_OBJECT, offsetof(Site, slow), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef site_methods[] = {
    {"install", site_install, METH_O, "install(entry): puts it first; the least recently matched of 32 makes room"},
    {"remove", site_remove, METH_O, "remove(entry) -> whether it was there"},
    {"clear", site_clear_entries, METH_NOARGS, "clear(): removes every entry"},
    {"entries", site_entries, METH_NOARGS, "entries() -> tuple, most recently matched first"},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject site_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "alpyna_hook.runtime._guard.Site",
    .tp_doc = "Site(key, slow): the callable behind one rewritten loop. site(*roots) -> None or tuple of live-outs.",
    .tp_basicsize = sizeof(Site),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL,
    .tp_vectorcall_offset = offsetof(Site, vectorcall),
    .tp_weaklistoffset = offsetof(Site, weakrefs),
    .tp_call = PyVectorcall_Call,
    .tp_new = site_new,
    .tp_dealloc = site_dealloc,
    .tp_traverse = site_traverse,
    .tp_clear = site_gc_clear,
    .tp_repr = site_repr,
    .tp_members = site_members,
    .tp_methods = site_methods,
};

/* ---- the module ---- */

static PyObject *
set_on_error(PyObject *Py_UNUSED(module), PyObject *callback)
{
    PyObject *old = on_error;
    on_error = callback == Py_None ? NULL : Py_NewRef(callback);
    Py_XDECREF(old);
    Py_RETURN_NONE;
}

static PyObject *
follow(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *value, *path;
    if (!PyArg_ParseTuple(args, "OO!:follow", &value, &PyTuple_Type, &path)) {
        return NULL;
    }
    Py_INCREF(value);
    for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(path); k++) {
        PyObject *name = PyTuple_GET_ITEM(path, k);
        if (!PyUnicode_CheckExact(name)) {
            Py_DECREF(value);
            PyErr_SetString(PyExc_TypeError, "attribute names must be strings");
            return NULL;
        }
        PyObject *next = follow_name(value, name);
        Py_DECREF(value);
        if (next == NULL) {
            return Py_NewRef(unset);
        }
        value = next;
    }
    return value;
}

static PyObject *
overlap(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyArrayObject *a, *b;
    if (ensure_numpy() < 0 || !PyArg_ParseTuple(args, "O!O!:overlap", &PyArray_Type, &a, &PyArray_Type, &b)) {
        return NULL;
    }
    int ndim = PyArray_NDIM(a);
    if (PyArray_SIZE(a) == 0 || PyArray_SIZE(b) == 0) {
        return PyUnicode_FromString("disjoint");
    }
    if (PyArray_DATA(a) == PyArray_DATA(b) && ndim == PyArray_NDIM(b) && PyArray_ITEMSIZE(a) == PyArray_ITEMSIZE(b)) {
        int same = 1;
        for (int k = 0; k < ndim; k++) {
            same &= PyArray_DIM(a, k) == PyArray_DIM(b, k) &&
                    (PyArray_STRIDE(a, k) == PyArray_STRIDE(b, k) || PyArray_DIM(a, k) == 1);
        }
        if (same) {
            return PyUnicode_FromString("same");
        }
    }
    View x, y;
    view_of_array(&x, a);
    view_of_array(&y, b);
    return PyUnicode_FromString(views_disjoint(&x, &y) ? "disjoint" : "overlap");
}

static PyObject *
distinct(PyObject *Py_UNUSED(module), PyObject *array)
{
    if (ensure_numpy() < 0) {
        return NULL;
    }
    if (!Py_IS_TYPE(array, &PyArray_Type)) {
        PyErr_SetString(PyExc_TypeError, "distinct() takes an array");
        return NULL;
    }
    PyArrayObject *a = (PyArrayObject *)array;
    size_t itemsize = (size_t)PyArray_ITEMSIZE(a);
    return PyBool_FromLong(PyArray_SIZE(a) == 0 ||
                           strides_distinct(PyArray_NDIM(a), PyArray_DIMS(a), PyArray_STRIDES(a), itemsize));
}

static PyMethodDef methods[] = {
    {"set_on_error", set_on_error, METH_O, "set_on_error(callback or None): called as callback(key, exception);\n"
     "it returns True if the exception is the program's"},
    {"set_error_state", set_error_state, METH_VARARGS,
     "set_error_state(variable, get, flags): the ContextVar (or None) that holds NumPy's error state, numpy.geterr,\n"
     "and the FP flag of each category, for ('fp_mask',) checks"},
    {"set_main_thread", set_main_thread, METH_O, "set_main_thread(ident): the thread whose kernels look for signals"},
    {"raise_held", raise_held, METH_NOARGS,
     "raise_held(): raises what a signal handler raised while a kernel ran, if one has returned False for that"},
    {"describe", describe, METH_O, "describe(value) -> the check tuple it meets, or ('other', what it is)"},
    {"follow", follow, METH_VARARGS, "follow(object, path) -> the value, or UNSET where reading it could run code"},
    {"distinct", distinct, METH_O, "distinct(array) -> True if it is proved that no two subscripts mean one element"},
    {"overlap", overlap, METH_VARARGS, "overlap(a, b) -> 'disjoint', 'same' or 'overlap'"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "alpyna_hook.runtime._guard",
    .m_doc = "The site guard in C; see alpyna_hook.runtime.guard.",
    .m_size = -1,
    .m_methods = methods,
};

PyMODINIT_FUNC
PyInit__guard(void)
{
    if (PyType_Ready(&site_type) < 0 || PyType_Ready(&entry_type) < 0 || watch_monitoring() < 0) {
        return NULL;
    }
    PyObject *module = PyModule_Create(&module_def);
    if (module == NULL) {
        return NULL;
    }
    unset = PyObject_CallNoArgs((PyObject *)&PyBaseObject_Type);
    if (unset == NULL || PyModule_AddObjectRef(module, "UNSET", unset) < 0 ||
        PyModule_AddIntConstant(module, "TIMING_PERIOD", TIMING_PERIOD) < 0 ||
        PyModule_AddIntConstant(module, "GIL_NS", GIL_NS) < 0 ||
        PyModule_AddIntConstant(module, "MAX_PARAMS", MAX_PARAMS) < 0 ||
        PyModule_AddIntConstant(module, "MAX_IN", MAX_IN) < 0 ||
        PyModule_AddIntConstant(module, "MAX_OUT", MAX_OUT) < 0 ||
        PyModule_AddObjectRef(module, "Site", (PyObject *)&site_type) < 0 ||
        PyModule_AddObjectRef(module, "Entry", (PyObject *)&entry_type) < 0) {
        Py_DECREF(module);
        return NULL;
    }
    return module;
}
