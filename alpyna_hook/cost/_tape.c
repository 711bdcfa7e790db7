/* Straight-line programs over doubles, as cost/tape.py records them.
 *
 * in:  Tape(code, constants, inputs, outputs, width): `code` int32 quadruples (operation, a, b, other), `constants`
 *      doubles, the number of inputs, `outputs` int32, `width` of them for each run. a, b and outputs are places: the
 *      inputs, then the result of each quadruple; -1 - k is constant k. other: of a comparison, the quadruple to go on
 *      from where it does not hold; -1: none. (END, number of the run, 0, -1) ends a run.
 * out: tape(tuple of inputs) -> tuple of float, or None if a comparison turns out as it never did when it was recorded
 *
 * The twin in Python is tape.Twin; the operations are numbered alike there.
 */
#include "_tape.h"

/* Reads a tuple of so many plain numbers; anything else could run code. -1: not that. */
static int
read_tuple(PyObject *given, double *inputs, Py_ssize_t count)
{
    if (!PyTuple_CheckExact(given) || PyTuple_GET_SIZE(given) != count) {
        return -1;
    }
    for (Py_ssize_t k = 0; k < count; ++k) {
        PyObject *item = PyTuple_GET_ITEM(given, k);
        if (!PyFloat_CheckExact(item) && !PyLong_CheckExact(item)) {
            return -1;
        }
        inputs[k] = PyFloat_AsDouble(item);
        if (inputs[k] == -1.0 && PyErr_Occurred()) {
            return -1;
        }
    }
    return 0;
}

static PyObject *
results(const Tape *tape, const int32_t *places)
{
    PyObject *found = PyTuple_New(tape->width);
    for (Py_ssize_t k = 0; found != NULL && k < tape->width; ++k) {
        PyObject *item = PyFloat_FromDouble(tape->values[places[k]]);
        if (item == NULL) {
            Py_CLEAR(found);
        } else {
            PyTuple_SET_ITEM(found, k, item);
        }
    }
    return found;
}

static PyObject *
tape_call(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *names)
{
    Tape *tape = (Tape *)callable;
    if (PyVectorcall_NARGS(nargsf) != 1 || names != NULL || read_tuple(args[0], tape->values, tape->inputs) < 0) {
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_TypeError, "a tape takes its inputs: a tuple of int or float");
    }
    const int32_t *places = run(tape);
    if (places == NULL) {
        Py_RETURN_NONE;
    }
    return results(tape, places);
}

static void
tape_dealloc(PyObject *self)
{
    Tape *tape = (Tape *)self;
    PyMem_Free(tape->values);
    PyMem_Free(tape->code);
    PyMem_Free(tape->wanted);
    Py_TYPE(self)->tp_free(self);
}

/* Turns a place into one among `values`: inputs, constants, results. -1: there is none before this limit. */
static int32_t
resolved(const Tape *tape, int32_t place, Py_ssize_t limit)
{
    if (place < 0) {
        return -1 - place < tape->constants ? (int32_t)(tape->inputs - 1 - place) : -1;
    }
    return place >= limit ? -1 : (int32_t)(place < tape->inputs ? place : place + tape->constants);
}

/* Resolves all places. 0: not every place that is read lies before the one that is written, or not every run ends. */
static int
resolve(Tape *tape)
{
    if (tape->steps < 1 || tape->code[tape->steps - 1].operation != END || tape->width < 1) {
        return 0;
    }
    for (Py_ssize_t k = 0; k < tape->steps; ++k) {
        Step *s = &tape->code[k];
        if (s->operation < 0 || s->operation >= OPERATIONS || s->other >= tape->steps || (s->other <= k && s->other != -1)) {
            return 0;
        }
        if (s->operation == END) {
            if (s->a < 0 || s->a >= tape->outputs / tape->width || s->a > k || s->b != 0) {
                return 0;
            }
            continue;
        }
        s->a = resolved(tape, s->a, tape->inputs + k);
        s->b = resolved(tape, s->b, tape->inputs + k);
        if (s->a < 0 || s->b < 0) {
            return 0;
        }
    }
    for (Py_ssize_t k = 0; k < tape->outputs; ++k) {
        tape->wanted[k] = resolved(tape, tape->wanted[k], tape->inputs + tape->steps);
        if (tape->wanted[k] < 0) {
            return 0;
        }
    }
    return 1;
}

static PyObject *
tape_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    const char *code, *constants, *outputs;
    Py_ssize_t code_size, constants_size, inputs, outputs_size, width;
    if (kwargs != NULL || !PyArg_ParseTuple(args, "y#y#ny#n:Tape", &code, &code_size, &constants, &constants_size, &inputs,
                                            &outputs, &outputs_size, &width)) {
        return NULL;
    }
    Tape *tape = (Tape *)type->tp_alloc(type, 0);
    if (tape == NULL) {
        return NULL;
    }
    tape->vectorcall = tape_call;
    tape->inputs = inputs;
    tape->constants = constants_size / (Py_ssize_t)sizeof(double);
    tape->steps = code_size / (Py_ssize_t)sizeof(Step);
    tape->outputs = outputs_size / (Py_ssize_t)sizeof(int32_t);
    tape->width = width;
    if (inputs < 0 || inputs > 1 << 20 || tape->constants > 1 << 20 || tape->steps > 1 << 20) {
        PyErr_SetString(PyExc_ValueError, "not a tape");
        Py_DECREF(tape);
        return NULL;
    }
    tape->values = PyMem_Calloc((size_t)(inputs + tape->constants + tape->steps) + 1, sizeof(double));
    tape->code = PyMem_Malloc((size_t)code_size + 1);
    tape->wanted = PyMem_Malloc((size_t)outputs_size + 1);
    if (tape->values == NULL || tape->code == NULL || tape->wanted == NULL) {
        Py_DECREF(tape);
        return PyErr_NoMemory();
    }
    memcpy(tape->values + inputs, constants, (size_t)tape->constants * sizeof(double));
    memcpy(tape->code, code, (size_t)tape->steps * sizeof(Step));
    memcpy(tape->wanted, outputs, (size_t)tape->outputs * sizeof(int32_t));
    if (!resolve(tape)) {
        PyErr_SetString(PyExc_ValueError, "not a tape");
        Py_DECREF(tape);
        return NULL;
    }
    return (PyObject *)tape;
}

static PyTypeObject tape_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "alpyna_hook.cost._tape.Tape",
    .tp_doc = "Tape(code, constants, inputs, outputs, width): see alpyna_hook.cost.tape",
    .tp_basicsize = sizeof(Tape),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL,
    .tp_vectorcall_offset = offsetof(Tape, vectorcall),
    .tp_call = PyVectorcall_Call,
    .tp_new = tape_new,
    .tp_dealloc = tape_dealloc,
};

#include "_picker.h" /* uses the above */

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "alpyna_hook.cost._tape",
    .m_doc = "Recorded predictions, run in C; see alpyna_hook.cost.tape.",
    .m_size = -1,
};

PyMODINIT_FUNC
PyInit__tape(void)
{
    if (PyType_Ready(&tape_type) < 0 || PyType_Ready(&picker_type) < 0) {
        return NULL;
    }
    PyObject *module = PyModule_Create(&module_def);
    if (module != NULL && (PyModule_AddObjectRef(module, "Tape", (PyObject *)&tape_type) < 0 ||
                           PyModule_AddObjectRef(module, "Picker", (PyObject *)&picker_type) < 0)) {
        Py_CLEAR(module);
    }
    return module;
}
