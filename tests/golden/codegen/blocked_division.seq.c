int32_t kernel(const alp_slot *in, alp_slot *out)
{
    int64_t fp = 0;
    alp_fp_clear();
    int64_t n = in[1].i;
    double *restrict c = in[2].p;
    const int64_t c_n0 = in[3].i;
    const int64_t c_n1 = in[4].i;
    double *restrict a = in[7].p;
    const int64_t a_n0 = in[8].i;
    const int64_t a_n1 = in[9].i;
    const int64_t fp_mask = in[12].i;
    alp_signals *const alp_poll = in[13].p;
    int64_t *resume = &out[1].i;
    if (!(n <= c_n0)) { out[0].i = 0; return 1; }
    if (!(n <= c_n1)) { out[0].i = 1; return 1; }
    if (!(n <= a_n0)) { out[0].i = 2; return 1; }
    if (!(n <= a_n1)) { out[0].i = 3; return 1; }
    int64_t fault = 0;

    int64_t alp_every = alp_whole_units(alp_first_rows(4194304.0, 4.0 + alp_extent(0.0, (double)n) * (4.0 + alp_extent(0.0, (double)n) * (16.0))), 1), alp_left = alp_poll ? alp_every + 1 : 0;
    for (int64_t t = 0; t < 3; t++) {  // for t in range(3):
        if (__builtin_expect(--alp_left == 0, 0)) {
            alp_left = alp_every = alp_poll->ask(alp_poll, alp_every);
            if (!alp_left) {
                out[0].i = 0;
                return 4;
            }
        }
        {
            const int64_t i_first = 0, i_stop = n;
            const int64_t i_rows = alp_block_rows(i_stop - i_first, (c_n1 * sizeof *c), 1, 1048576);
            double *restrict c_saved = alp_scratch(0, (size_t)(i_rows * c_n1) * sizeof *c);
            if (!c_saved) {
                resume[0] = 0;
                resume[1] = (t - (0)) / 1;
                resume[2] = i_first - i_first;
                out[0].i = 1;
                return 3;
            }
            for (int64_t i_block = i_first; i_block < i_stop; i_block += i_rows) {
                const int64_t i_end = alp_min_i64(i_block + i_rows, i_stop);
                for (int64_t i = i_block; i < i_end; i++) {  // for i in range(n):
                    #pragma GCC ivdep
                    for (int64_t j = 0; j < n; j++) {  // for j in range(n):
                        c_saved[(i - i_block) * c_n1 + j] = c[i * c_n1 + j];
                        c[i * c_n1 + j] += alp_div_f64(1.0, a[i * a_n1 + j] - alp_to_f64(t), &fault);  // c[i, j] = c[i, j] + 1.0 / (float(a[i, j]) - t)
                    }
                }
                fp |= alp_fp_raised();
                if (fault || (fp & fp_mask)) {
                    for (int64_t i = i_block; i < i_end; i++) {
                        for (int64_t j = 0; j < n; j += 1)
                        c[i * c_n1 + j] = c_saved[(i - i_block) * c_n1 + j];
                    }
                    out[0].i = fault | fp << 8;
                    resume[0] = 0;
                    resume[1] = (t - (0)) / 1;
                    resume[2] = i_block - i_first;
                    return 3;
                }
            }
        }
    }

    fp |= alp_fp_raised();
    return 0;
}
