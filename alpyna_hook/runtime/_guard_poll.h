/* How a kernel that takes long learns of signals: it asks, between iterations of its outermost loop.
 *
 * in:  a Poll on the stack of the call, handed to the kernel in the slot of a ("poll",) param
 * out: 0 if the kernel is to stop, because a handler of the program has raised (the exception is in the Poll);
 *      else after how many more iterations to ask again
 *
 * CPython's C handler only notes that a signal came; the handler of the program runs in PyErr_CheckSignals(), which
 * needs the GIL and does nothing but in the main thread. To ask for the GIL is dear where another thread is busy, so
 * the clock is read first.
 */
#ifndef ALPYNA_GUARD_POLL_H
#define ALPYNA_GUARD_POLL_H

#include "_guard_core.h"

#include <fenv.h>
#include <time.h>

enum { STOPPED = 4 };              /* a kernel's return code: ir/abi.py */
enum { ASK_NS = 20000000 };        /* about so long between two questions of a kernel */
enum { SIGNALS_NS = 40000000 };    /* at least so long between two looks for signals */
enum { GIL_SHARE = 20 };           /* of the time, 1 part at most goes into waiting for the GIL */
enum { MOST_ERRORS = 8 };          /* of handlers, one after the other, before the program gets one in any case */
static const int64_t MOST_ROWS = (int64_t)1 << 40;

typedef struct Poll {
    int64_t (*ask)(struct Poll *, int64_t); /* the kernel knows this member: codegen/stops.py */
    PyThreadState *released;                /* NULL: the kernel runs with the GIL */
    int64_t asked, next;                    /* ns: the last question, 0: none; the next look for signals */
    PyObject *error;                        /* what a handler has raised; strong */
} Poll;

static unsigned long main_thread;
static int asking;                /* the main thread is in a handler, in the middle of a kernel */

static inline int
in_main_thread(void)
{
    return PyThread_get_thread_ident() == main_thread;
}

static int64_t
now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The exception that is set, taken off the thread, with its traceback. Strong. */
static PyObject *
take_error(void)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != NULL && value != NULL) {
        PyException_SetTraceback(value, traceback);
    }
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return value;
}

/* Sets an exception as take_error found it. Steals it. */
static void
put_error(PyObject *error)
{
    PyErr_Restore(Py_NewRef((PyObject *)Py_TYPE(error)), error, PyException_GetTraceback(error));
}

/* The exception that is set, raised while `error` (stolen; may be NULL) was still to be: its context, as it would be in
 * the middle of an except clause. Strong. */
static PyObject *
take_later_error(PyObject *error)
{
    PyObject *later = take_error();
    if (error == NULL || later == NULL || later == error) {
        Py_XDECREF(later != NULL ? error : NULL);
        return later != NULL ? later : error;
    }
    PyObject *context = PyException_GetContext(later), *earlier = PyException_GetContext(error);
    if (context == NULL || context == earlier) {
        PyException_SetContext(later, Py_NewRef(error));
    }
    Py_XDECREF(context);
    Py_XDECREF(earlier);
    Py_DECREF(error);
    return later;
}

/* What handlers that are due raise: the last of them. Another signal may have come with the first, and its handler
 * must not raise before the program's names have their values. NULL: nothing. Strong. */
static PyObject *
raised_by_handlers(void)
{
    PyObject *error = NULL;
    for (int tries = 0; tries < MOST_ERRORS && PyErr_CheckSignals() < 0; tries++) {
        error = take_later_error(error);
    }
    return error;
}

/* Runs handlers that are due. The kernel's floating-point flags are its own, not theirs. */
static void
look_for_signals(Poll *poll)
{
    fenv_t flags;
    fegetenv(&flags);
    int64_t start = now_ns();
    if (poll->released != NULL) {
        PyEval_RestoreThread(poll->released);
    }
    int64_t waited = now_ns() - start;
    asking = 1;
    poll->error = raised_by_handlers();
    asking = 0;
    if (poll->released != NULL) {
        poll->released = PyEval_SaveThread();
    }
    fesetenv(&flags);
    poll->asked = now_ns();
    poll->next = poll->asked + Py_MAX(SIGNALS_NS, GIL_SHARE * waited);
}

/* The kernel has made `rows` iterations since it asked last. */
static int64_t
ask(Poll *poll, int64_t rows)
{
    int64_t now = now_ns(), took = now - poll->asked;
    int first = poll->asked == 0;
    poll->asked = now;
    if (first) { /* when the kernel began is not known: a short call need not read the clock */
        poll->next = now + SIGNALS_NS;
        return rows;
    }
    if (now >= poll->next) {
        look_for_signals(poll);
        if (poll->error != NULL) {
            return 0;
        }
    }
    if (took < ASK_NS / 8) {
        rows *= 8;
    }
    else {
        rows = (int64_t)((double)rows * ASK_NS / (double)took);
    }
    return Py_MAX(1, Py_MIN(rows, MOST_ROWS));
}

static void
start_poll(Poll *poll)
{
    poll->ask = ask;
    poll->released = NULL;
    poll->error = NULL;
    poll->asked = 0;
}

static PyObject *
set_main_thread(PyObject *Py_UNUSED(module), PyObject *ident)
{
    main_thread = PyLong_AsUnsignedLong(ident);
    if (PyErr_Occurred()) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* For each time that the guard has returned False in the main thread, until the live-outs have their values: what a
 * handler raised while the kernel ran, or None. Whoever returns last is asked first; one whose program was kept from
 * asking (by yet another handler) is never found. */
static PyObject *held;

/* 0, or -1 with an exception. */
static int
hold(PyObject *error)
{
    return held == NULL && (held = PyList_New(0)) == NULL ? -1 : PyList_Append(held, error);
}

static PyObject *
raise_held(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    Py_ssize_t n = held != NULL && in_main_thread() ? PyList_GET_SIZE(held) : 0;
    if (n == 0) {
        Py_RETURN_NONE;
    }
    PyObject *error = Py_NewRef(PyList_GET_ITEM(held, n - 1));
    if (PyList_SetSlice(held, n - 1, n, NULL) < 0) {
        Py_DECREF(error);
        return NULL;
    }
    if (error == Py_None) {
        return error;
    }
    put_error(error);
    return NULL;
}

#endif
