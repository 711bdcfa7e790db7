"""Numbers that generated code and the runtime share; apart from plan.py, which a warm start does not import."""

FP_INVALID, FP_DIVIDE, FP_OVERFLOW, FP_UNDERFLOW = 1, 4, 8, 16  # bits of a fault's FP flags
DEVICE_FAILED = -4  # out[0].i with return code 1: nothing is written, and the device is not to be asked again
STOPPED = 4  # return code: between two iterations of the outermost loop, because a signal handler has raised
HALF_WAY = 3  # return code: a fault in a blocked loop, which is done up to where the resume record says
LARGEST_SINGLE = 3.4028234663852886e38  # the largest float32
RESUME_SLOTS = 16  # of the resume record: blocked loop number, then a trip number per loop, outermost first
