/* The type of pickers: see _pick.h. */
#ifndef ALPYNA_PICKER_H
#define ALPYNA_PICKER_H

#include "_pick.h"

/* --- what Python hands over ----------------------------------------------------------------------------------- */

/* The value of a leaf, a plain int or float. */
static int
value_of(PyObject *env, PyObject *leaf, double *value)
{
    PyObject *found = PyDict_GetItemWithError(env, leaf);
    if (found == NULL) {
        return PyErr_Occurred() ? FAILED : UNUSUAL;
    }
    if (PyLong_CheckExact(found)) {
        *value = PyLong_AsDouble(found);
        if (*value == -1.0 && PyErr_Occurred()) {
            PyErr_Clear(); /* too large */
            return UNUSUAL;
        }
        return DONE;
    }
    *value = PyFloat_CheckExact(found) ? PyFloat_AS_DOUBLE(found) : 0.0;
    return PyFloat_CheckExact(found) ? DONE : UNUSUAL;
}

static int
read_inputs(const Picker *p, PyObject *env, double *inputs)
{
    if (!PyDict_CheckExact(env)) {
        return UNUSUAL;
    }
    for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(p->estimated); ++k) {
        const int has = PyDict_Contains(env, PyTuple_GET_ITEM(p->estimated, k));
        if (has != 0) {
            return has < 0 ? FAILED : UNUSUAL;
        }
    }
    for (Py_ssize_t k = 0; k < p->inputs; ++k) {
        const int done = value_of(env, PyTuple_GET_ITEM(p->leaves, k), &inputs[k]);
        if (done != DONE) {
            return done;
        }
    }
    return DONE;
}

/* The place of a name among the variants; -1 if it is not one of them. */
static Py_ssize_t
place_of(const Picker *p, PyObject *name)
{
    for (Py_ssize_t v = 0; v < p->count; ++v) {
        if (PyTuple_GET_ITEM(p->variants, v) == name) {
            return v;
        }
    }
    for (Py_ssize_t v = 0; v < p->count; ++v) {
        if (PyUnicode_Check(name) && PyUnicode_Compare(PyTuple_GET_ITEM(p->variants, v), name) == 0) {
            return v;
        }
    }
    return -1;
}

/* History.known: (variant, decade, log, fresh) each. Their number; -1: too many, or not that. */
static Py_ssize_t
read_known(const Picker *p, PyObject *given, Known *known)
{
    if (!PyTuple_CheckExact(given) || PyTuple_GET_SIZE(given) > MOST_KNOWN) {
        return -1;
    }
    for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(given); ++k) {
        PyObject *one = PyTuple_GET_ITEM(given, k);
        if (!PyTuple_CheckExact(one) || PyTuple_GET_SIZE(one) != 4 || !PyLong_CheckExact(PyTuple_GET_ITEM(one, 1)) ||
            !PyFloat_CheckExact(PyTuple_GET_ITEM(one, 2))) {
            return -1;
        }
        known[k].variant = place_of(p, PyTuple_GET_ITEM(one, 0));
        known[k].decade = PyLong_AsLong(PyTuple_GET_ITEM(one, 1));
        known[k].log = PyFloat_AS_DOUBLE(PyTuple_GET_ITEM(one, 2));
        known[k].fresh = PyTuple_GET_ITEM(one, 3) == Py_True;
    }
    return PyTuple_GET_SIZE(given);
}

/* --- the choice ----------------------------------------------------------------------------------------------- */

/* Seconds by variant, of those offered or of all. */
static PyObject *
mapping(const Picker *p, const Predicted *x, int all)
{
    PyObject *found = PyDict_New();
    for (Py_ssize_t v = 0; found != NULL && v < p->count; ++v) {
        if (all || x->offered[v]) {
            PyObject *seconds = PyFloat_FromDouble(x->seconds[v]);
            if (seconds == NULL || PyDict_SetItem(found, PyTuple_GET_ITEM(p->variants, v), seconds) < 0) {
                Py_CLEAR(found);
            }
            Py_XDECREF(seconds);
        }
    }
    return found;
}

static PyObject *
picker_pick(Picker *p, PyObject *const *args, Py_ssize_t nargs)
{
    double inputs[MOST_INPUTS];
    Known known[MOST_KNOWN];
    Predicted x;
    if (nargs != 3 || !PyLong_CheckExact(args[2])) {
        PyErr_SetString(PyExc_TypeError, "pick(env, known, calls)");
        return NULL;
    }
    const Py_ssize_t facts = read_known(p, args[1], known);
    int done = facts < 0 ? UNUSUAL : read_inputs(p, args[0], inputs);
    if (done == DONE) {
        done = predict(p, inputs, known, facts, &x);
    }
    const long calls = done == DONE ? PyLong_AsLong(args[2]) : 0;
    if (PyErr_Occurred()) {
        return NULL;
    }
    if (done != DONE || calls < 0 || calls > 1L << 52) {
        Py_RETURN_NONE;
    }
    worth_threads(p, &x, known, facts);
    const Py_ssize_t best = cheapest(p, &x);
    Py_ssize_t compiled;
    const double price = worth(p, &x, &compiled);
    const int measured = fresh(&x, best, known, facts);
    const double review = until_review(p, best, x.seconds[best], measured, (double)calls);
    if (!(review < 4e18)) {
        Py_RETURN_NONE; /* a call that takes no time */
    }
    PyObject *all = mapping(p, &x, 1), *offered = all;
    for (Py_ssize_t v = 0; v < p->count && all != NULL; ++v) {
        if (!x.offered[v]) {
            offered = mapping(p, &x, 0);
            break;
        }
    }
    if (all == NULL || offered == NULL) {
        Py_XDECREF(all);
        return NULL;
    }
    PyObject *found = Py_BuildValue("(OOOdOLOd)", PyTuple_GET_ITEM(p->variants, best), all, offered, x.kernel[best],
                                    measured ? Py_True : Py_False, (long long)review,
                                    PyTuple_GET_ITEM(p->variants, compiled), price);
    Py_DECREF(all);
    if (offered != all) {
        Py_DECREF(offered);
    }
    return found;
}

/* --- for which calls it stands -------------------------------------------------------------------------------- */

typedef struct {
    int64_t value, low, high;
    int rising;
} Span;

/* rules.bucket */
static void
bucket(Span *span)
{
    int64_t size = span->value < 0 ? -span->value : span->value, low = 1;
    while (low <= size / 2) {
        low *= 2;
    }
    span->low = size == 0 ? 0 : span->value > 0 ? low : 1 - 2 * low;
    span->high = size == 0 ? 0 : span->value > 0 ? 2 * low - 1 : -low;
}

/* math.isqrt */
static int64_t
whole_root(int64_t n)
{
    int64_t root = (int64_t)sqrt((double)n);
    while (root * root > n) {
        --root;
    }
    while ((root + 1) * (root + 1) <= n) {
        ++root;
    }
    return root;
}

/* rules.good */
static int
good(Picker *p, const double *inputs, Py_ssize_t chosen, const Known *known, Py_ssize_t facts, PyObject *unpaid, int *is)
{
    Predicted x;
    const int done = predict(p, inputs, known, facts, &x);
    if (done != DONE) {
        return done;
    }
    if (chosen == p->role[INTERP]) {
        Py_ssize_t compiled;
        const double limit = worth(p, &x, &compiled);
        double price = 0.0;
        if (isfinite(limit)) {
            const int known_price = value_of(unpaid, PyTuple_GET_ITEM(p->variants, compiled), &price);
            if (known_price != DONE) {
                return known_price;
            }
        }
        if (price > limit) {
            *is = 1;
            return DONE;
        }
    }
    *is = x.seconds[chosen] <= p->rules.tolerance * least(p, &x) + p->rules.call_s;
    return DONE;
}

/* Seconds in the interpreter. */
static int
work(Picker *p, const double *inputs, double *seconds)
{
    const int32_t *places = seconds_at(p, inputs);
    if (places == NULL) {
        return 0;
    }
    places += 2 * p->role[INTERP];
    *seconds = p->tape->values[places[0]] + p->tape->values[places[1]];
    return 1;
}

/* Which of the sizes that trip counts depend on mean more work where they are larger. */
static int
directions(Picker *p, const double *inputs, Span *spans, Py_ssize_t count)
{
    double here, there, moved[MOST_INPUTS];
    if (!work(p, inputs, &here)) {
        return UNUSUAL;
    }
    memcpy(moved, inputs, (size_t)p->inputs * sizeof(double));
    for (Py_ssize_t k = 0; k < count; ++k) {
        const Py_ssize_t place = p->places[k];
        if (place >= 0) {
            moved[place] = (double)spans[k].high;
            if (!work(p, moved, &there)) {
                return UNUSUAL;
            }
            spans[k].rising = there >= here;
            moved[place] = inputs[place];
        }
    }
    return DONE;
}

/* Halves the spans until the choice is good in both corners. */
static int
narrow(Picker *p, const double *inputs, Span *spans, Py_ssize_t count, Py_ssize_t chosen, const Known *known,
       Py_ssize_t facts, PyObject *unpaid)
{
    double corner[2][MOST_INPUTS]; /* of the least work, of the most */
    memcpy(corner[0], inputs, (size_t)p->inputs * sizeof(double));
    memcpy(corner[1], inputs, (size_t)p->inputs * sizeof(double));
    for (int round = 0; round < p->rules.rounds; ++round) {
        for (Py_ssize_t k = 0; k < count; ++k) {
            if (p->places[k] >= 0) {
                corner[!spans[k].rising][p->places[k]] = (double)spans[k].low;
                corner[spans[k].rising][p->places[k]] = (double)spans[k].high;
            }
        }
        int fine = 1;
        for (int end = 0; end < 2 && fine; ++end) {
            const int done = good(p, corner[end], chosen, known, facts, unpaid, &fine);
            if (done != DONE) {
                return done;
            }
        }
        if (fine) {
            return DONE;
        }
        for (Py_ssize_t k = 0; k < count; ++k) {
            if (p->places[k] >= 0) {
                spans[k].low = spans[k].value - whole_root(spans[k].value - spans[k].low);
                spans[k].high = spans[k].value + whole_root(spans[k].high - spans[k].value);
            }
        }
    }
    for (Py_ssize_t k = 0; k < count; ++k) {
        if (p->places[k] >= 0) {
            spans[k].low = spans[k].high = spans[k].value;
        }
    }
    return DONE;
}

static PyObject *
ranges(const Picker *p, const Span *spans, Py_ssize_t count)
{
    PyObject *found = PyDict_New();
    for (Py_ssize_t k = 0; found != NULL && k < count; ++k) {
        PyObject *span = Py_BuildValue("(LL)", (long long)spans[k].low, (long long)spans[k].high);
        if (span == NULL || PyDict_SetItem(found, PyTuple_GET_ITEM(p->deciding, k), span) < 0) {
            Py_CLEAR(found);
        }
        Py_XDECREF(span);
    }
    return found;
}

static PyObject *
picker_box(Picker *p, PyObject *const *args, Py_ssize_t nargs)
{
    double inputs[MOST_INPUTS];
    Known known[MOST_KNOWN];
    Span spans[MOST_INPUTS];
    if (nargs != 4 || !PyDict_Check(args[3])) {
        PyErr_SetString(PyExc_TypeError, "box(env, chosen, known, unpaid)");
        return NULL;
    }
    const Py_ssize_t count = PyTuple_GET_SIZE(p->deciding), chosen = place_of(p, args[1]);
    const Py_ssize_t facts = read_known(p, args[2], known);
    int done = facts < 0 || chosen < 0 ? UNUSUAL : read_inputs(p, args[0], inputs), sized = 0;
    for (Py_ssize_t k = 0; done == DONE && k < count; ++k) {
        PyObject *value = PyDict_GetItemWithError(args[0], PyTuple_GET_ITEM(p->deciding, k));
        int over = 0;
        if (value == NULL || !PyLong_CheckExact(value)) {
            done = UNUSUAL;
            break;
        }
        spans[k].value = PyLong_AsLongLongAndOverflow(value, &over);
        if (over || spans[k].value > LARGEST || spans[k].value < -LARGEST) {
            done = UNUSUAL;
            break;
        }
        bucket(&spans[k]);
        sized |= p->places[k] >= 0;
    }
    if (done == DONE && sized) {
        done = directions(p, inputs, spans, count);
        if (done == DONE) {
            done = narrow(p, inputs, spans, count, chosen, known, facts, args[3]);
        }
    }
    if (PyErr_Occurred()) {
        return NULL;
    }
    if (done != DONE) {
        Py_RETURN_NONE;
    }
    return ranges(p, spans, count);
}

/* --- the type ------------------------------------------------------------------------------------------------- */

/* From now on this tape says what things take. */
static PyObject *
picker_use(Picker *p, PyObject *given)
{
    if (Py_TYPE(given) != &tape_type || ((Tape *)given)->inputs != p->inputs || ((Tape *)given)->width != 2 * p->count) {
        PyErr_SetString(PyExc_TypeError, "not a tape of these variants");
        return NULL;
    }
    Tape *last = p->tape;
    p->tape = (Tape *)Py_NewRef(given);
    Py_XDECREF(last);
    Py_RETURN_NONE;
}

static void
picker_dealloc(PyObject *self)
{
    Picker *p = (Picker *)self;
    Py_XDECREF(p->tape);
    Py_XDECREF(p->variants);
    Py_XDECREF(p->leaves);
    Py_XDECREF(p->estimated);
    Py_XDECREF(p->deciding);
    Py_TYPE(self)->tp_free(self);
}

/* Fills in what the tuples say. 0: they do not fit together. */
static int
fill(Picker *p, PyObject *places, PyObject *rules)
{
    const Py_ssize_t numbers = (Py_ssize_t)(sizeof(Rules) / sizeof(double));
    p->count = PyTuple_GET_SIZE(p->variants);
    p->inputs = PyTuple_GET_SIZE(p->leaves);
    const Py_ssize_t deciding = PyTuple_GET_SIZE(p->deciding);
    if (p->count > MOST_VARIANTS || p->inputs > MOST_INPUTS || deciding > MOST_INPUTS ||
        PyTuple_GET_SIZE(places) != deciding || PyTuple_GET_SIZE(rules) != numbers) {
        return 0;
    }
    for (int role = 0; role < ROLES; ++role) {
        p->role[role] = -1;
        for (Py_ssize_t v = 0; v < p->count; ++v) {
            PyObject *name = PyTuple_GET_ITEM(p->variants, v);
            if (PyUnicode_Check(name) && PyUnicode_CompareWithASCIIString(name, ROLE_NAMES[role]) == 0) {
                p->role[role] = v;
            }
        }
    }
    for (Py_ssize_t k = 0; k < deciding; ++k) {
        p->places[k] = PyLong_AsSsize_t(PyTuple_GET_ITEM(places, k));
        if (p->places[k] < -1 || p->places[k] >= p->inputs) {
            return 0;
        }
    }
    for (Py_ssize_t k = 0; k < numbers; ++k) {
        ((double *)&p->rules)[k] = PyFloat_AsDouble(PyTuple_GET_ITEM(rules, k));
    }
    return p->role[INTERP] >= 0 && !PyErr_Occurred();
}

static PyObject *
picker_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *variants, *leaves, *estimated, *deciding, *places, *rules;
    int unknown;
    if (kwargs != NULL ||
        !PyArg_ParseTuple(args, "O!O!O!O!O!pO!:Picker", &PyTuple_Type, &variants, &PyTuple_Type, &leaves, &PyTuple_Type,
                          &estimated, &PyTuple_Type, &deciding, &PyTuple_Type, &places, &unknown, &PyTuple_Type,
                          &rules)) {
        return NULL;
    }
    Picker *p = (Picker *)type->tp_alloc(type, 0);
    if (p == NULL) {
        return NULL;
    }
    p->variants = Py_NewRef(variants);
    p->leaves = Py_NewRef(leaves);
    p->estimated = Py_NewRef(estimated);
    p->deciding = Py_NewRef(deciding);
    p->unknown = unknown;
    if (!fill(p, places, rules)) {
        Py_DECREF(p);
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_ValueError, "not a picker");
    }
    return (PyObject *)p;
}

static PyMethodDef picker_methods[] = {
    {"use", (PyCFunction)picker_use, METH_O, "Go by this tape from now on."},
    {"pick", (PyCFunction)(void (*)(void))picker_pick, METH_FASTCALL, "See alpyna_hook.cost.pick.pick."},
    {"box", (PyCFunction)(void (*)(void))picker_box, METH_FASTCALL, "See alpyna_hook.cost.pick.box."},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject picker_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "alpyna_hook.cost._tape.Picker",
    .tp_doc = "Picker(variants, leaves, estimated, deciding, places, unknown, rules): see alpyna_hook.cost.pick",
    .tp_basicsize = sizeof(Picker),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_methods = picker_methods,
    .tp_new = picker_new,
    .tp_dealloc = picker_dealloc,
};

#endif
