#include <math.h>
#include <stdint.h>

void kernel(int64_t generations, uint8_t *restrict grid, int64_t rows, int64_t cols, uint8_t *restrict new,
            int64_t nrows, int64_t ncols)
{
    for (int64_t g = 0; g < generations; g++) {
#pragma omp parallel for
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < cols; j++) {
                const uint8_t *up = grid + (i + rows - 1) % rows * cols, *here = grid + i * cols,
                              *down = grid + (i + 1) % rows * cols;
                int64_t left = (j + cols - 1) % cols, right = (j + 1) % cols;
                int alive = up[left] + up[j] + up[right] + here[left] + here[right] + down[left] + down[j]
                            + down[right];
                new[i * cols + j] = alive == 3 || (alive == 2 && here[j] == 1);
            }
#pragma omp parallel for
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < cols; j++)
                grid[i * cols + j] = new[i * cols + j];
    }
}
