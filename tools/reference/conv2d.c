#include <math.h>
#include <stdint.h>

void kernel(const float *restrict image, int64_t rows, int64_t cols, const float *restrict weights, int64_t w0,
            int64_t w1, float *restrict out, int64_t orows, int64_t ocols)
{
#pragma omp parallel for
    for (int64_t i = 1; i < rows - 1; i++)
        for (int64_t j = 1; j < cols - 1; j++) {
            float s = 0.0f;
            for (int64_t di = -1; di < 2; di++)
                for (int64_t dj = -1; dj < 2; dj++)
                    s += image[(i + di) * cols + j + dj] * weights[(di + 1) * 3 + dj + 1];
            out[(i - 1) * ocols + j - 1] = s;
        }
}
