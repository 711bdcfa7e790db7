int32_t kernel(const alp_slot *in, alp_slot *out)
{
    int64_t n = in[1].i;
    double *restrict a = in[2].p;
    const int64_t a_n0 = in[3].i;
    const int64_t a_n1 = in[4].i;
    double *restrict b = in[7].p;
    const int64_t b_n0 = in[8].i;
    const int64_t b_n1 = in[9].i;
    alp_signals *const alp_poll = in[12].p;
    if (!(n <= a_n0)) { out[0].i = 0; return 1; }
    if (!(a_n1 >= 1)) { out[0].i = 1; return 1; }
    if (!(n <= b_n0)) { out[0].i = 2; return 1; }
    if (!(b_n1 >= 2)) { out[0].i = 3; return 1; }
    if ((0) >= (n)) {
        out[0].i = -2;
        return 1;
    }
    int64_t i = 0;
    int64_t w = 0;
    int64_t w_set = 0;

    {
        const int64_t i_1_first = 0, i_1_stop = n;
        const int64_t i_1_unit = 1;
        int64_t i_1_rows = alp_poll ? alp_whole_units(alp_first_rows(4194304.0, 9.0 + 2.0 + 1.0), i_1_unit) : (i_1_stop - i_1_first);
        for (int64_t i_1_block = i_1_first; i_1_block < i_1_stop;) {
            const int64_t i_1_end = i_1_stop - i_1_block > i_1_rows ? i_1_block + i_1_rows : i_1_stop;
            #pragma GCC ivdep
            for (int64_t i_1 = i_1_block; i_1 < i_1_end; i_1++) {  // for i in range(n):
                i = i_1;
                if (a[i_1 * a_n1 + 0] > b[i_1 * b_n1 + 1]) {
                    // if a[i, 0] > b[i, 1]:
                    w = i_1;  // w = i
                    w_set = 1;
                }
            }
            i_1_block = i_1_end;
            if (alp_poll && i_1_block < i_1_stop) {
                i_1_rows = alp_poll->ask(alp_poll, i_1_rows);
                if (!i_1_rows) {
                    out[1].i = i;
                    out[2].i = w;
                    out[3].i = w_set;
                    out[0].i = 0;
                    return 4;
                }
                i_1_rows = alp_whole_units(i_1_rows, i_1_unit);
            }
        }
    }

    out[1].i = i;
    out[2].i = w;
    out[3].i = w_set;
    return 0;
}
