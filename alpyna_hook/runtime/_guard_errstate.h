/* NumPy's floating-point error state (np.errstate, np.seterr), as the FP flags that it does not ignore.
 *
 * in:  set_error_state(variable, get, flags), once NumPy is there
 * out: error_mask(): the flags that count as faults for the call at hand
 *
 * NumPy keeps the state as an immutable object in a context variable; a new one is made wherever the state is set.
 * What a state object stands for is asked of `get` once: the last few are remembered, and kept alive, so that a
 * pointer says which state it is.
 */
#ifndef ALPYNA_GUARD_ERRSTATE_H
#define ALPYNA_GUARD_ERRSTATE_H

#include "_guard_core.h"

enum { MAX_STATES = 4 };

static PyObject *error_variable; /* the context variable; NULL: there is none, and `get` is asked at each call */
static PyObject *error_get;      /* numpy.geterr */
static PyObject *error_flags;    /* dict: category -> FP flag */
static struct { PyObject *state; int64_t mask; } known_states[MAX_STATES];
static int oldest_state;

/* The flags of all categories but those that `get` says are ignored. 0, or -1 with an exception. */
static int
ask_error_mask(int64_t *mask)
{
    PyObject *categories = PyObject_CallNoArgs(error_get), *name, *flag;
    Py_ssize_t at = 0;
    *mask = 0;
    if (categories == NULL) {
        return -1;
    }
    while (PyDict_Next(error_flags, &at, &name, &flag)) {
        PyObject *mode = PyObject_GetItem(categories, name);
        if (mode == NULL) {
            Py_DECREF(categories);
            return -1;
        }
        if (!PyUnicode_Check(mode) || PyUnicode_CompareWithASCIIString(mode, "ignore") != 0) {
            *mask |= PyLong_AsLongLong(flag);
        }
        Py_DECREF(mode);
    }
    Py_DECREF(categories);
    return PyErr_Occurred() ? -1 : 0;
}

static void
remember_state(PyObject *state, int64_t mask)
{
    PyObject *old = known_states[oldest_state].state;
    known_states[oldest_state].state = Py_NewRef(state);
    known_states[oldest_state].mask = mask;
    oldest_state = (oldest_state + 1) % MAX_STATES;
    Py_XDECREF(old); /* last: it may own a handler of the program */
}

/* 1, or -1 with an exception that belongs to the program (an interrupt). */
static int
error_mask(int64_t *mask)
{
    PyObject *state = NULL;
    if (error_variable != NULL && PyContextVar_Get(error_variable, NULL, &state) < 0) {
        PyErr_Clear();
    }
    for (int i = 0; state != NULL && i < MAX_STATES; i++) {
        if (known_states[i].state == state) {
            *mask = known_states[i].mask;
            Py_DECREF(state); /* remembered: not the last reference */
            return 1;
        }
    }
    int asked = ask_error_mask(mask);
    if (asked == 0 && state != NULL) {
        remember_state(state, *mask);
    }
    Py_XDECREF(state);
    if (asked < 0) {
        if (!PyErr_ExceptionMatches(PyExc_Exception)) {
            return -1;
        }
        PyErr_Clear();
        *mask = -1; /* unknown: every flag counts */
    }
    return 1;
}

static PyObject *
set_error_state(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *variable, *get, *flags;
    if (!PyArg_ParseTuple(args, "OOO!:set_error_state", &variable, &get, &PyDict_Type, &flags)) {
        return NULL;
    }
    if (variable != Py_None && !PyContextVar_CheckExact(variable)) {
        PyErr_SetString(PyExc_TypeError, "the error state must be in a ContextVar, or None");
        return NULL;
    }
    if ((flags = PyDict_Copy(flags)) == NULL) {
        return NULL;
    }
    Py_XSETREF(error_variable, variable == Py_None ? NULL : Py_NewRef(variable));
    Py_XSETREF(error_get, Py_NewRef(get));
    Py_XSETREF(error_flags, flags);
    for (int i = 0; i < MAX_STATES; i++) {
        Py_CLEAR(known_states[i].state);
    }
    Py_RETURN_NONE;
}

#endif
