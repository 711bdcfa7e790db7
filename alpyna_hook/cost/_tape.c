/* Straight-line programs over doubles, as cost/tape.py records them.
 *
 * in:  Tape(code, constants, inputs, outputs): `code` int32 triples (operation, a, b), `constants` doubles, the number of
 *      inputs, `outputs` int32 places. Places: the inputs, then the constants, then the result of each triple.
 * out: tape(tuple of inputs) -> tuple of float, or None if a comparison does not turn out as it was recorded
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
results(const Tape *tape)
{
    PyObject *found = PyTuple_New(tape->outputs);
    for (Py_ssize_t k = 0; found != NULL && k < tape->outputs; ++k) {
        PyObject *item = PyFloat_FromDouble(tape->values[tape->wanted[k]]);
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
    if (!run(tape)) {
        Py_RETURN_NONE;
    }
    return results(tape);
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

/* Whether every place that is read lies before the one that is written. */
static int
sound(const Tape *tape)
{
    const Py_ssize_t first = tape->inputs + tape->constants;
    for (Py_ssize_t k = 0; k < tape->steps; ++k) {
        const Step *s = &tape->code[k];
        if (s->operation < 0 || s->operation >= OPERATIONS || s->a < 0 || s->a >= first + k || s->b < 0 ||
            s->b >= first + k) {
            return 0;
        }
    }
    for (Py_ssize_t k = 0; k < tape->outputs; ++k) {
        if (tape->wanted[k] < 0 || tape->wanted[k] >= first + tape->steps) {
            return 0;
        }
    }
    return 1;
}

static PyObject *
tape_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    const char *code, *constants, *outputs;
    Py_ssize_t code_size, constants_size, inputs, outputs_size;
    if (kwargs != NULL || !PyArg_ParseTuple(args, "y#y#ny#:Tape", &code, &code_size, &constants, &constants_size, &inputs,
                                            &outputs, &outputs_size)) {
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
    if (inputs < 0 || inputs > 1 << 20) {
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
    if (!sound(tape)) {
        PyErr_SetString(PyExc_ValueError, "not a tape");
        Py_DECREF(tape);
        return NULL;
    }
    return (PyObject *)tape;
}

static PyTypeObject tape_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "alpyna_hook.cost._tape.Tape",
    .tp_doc = "Tape(code, constants, inputs, outputs): see alpyna_hook.cost.tape",
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
