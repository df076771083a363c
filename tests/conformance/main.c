/* The conformance suite: what every strategy must do, whatever it is made of.
 *
 *   test_conformance STRATEGY [--section.key=value]...
 *
 * {tmp} in a value stands for a folder that is new for each test, {NAME} for a variable of the
 * environment (see tests/support/with_database.py).
 */
#include "harness.h"
#include "suite.h"

int main(int argc, char **argv)
{
    if (!harness_arguments(argc, argv))
        return 64;
    int failed = run_seam_tests();
    failed += run_reserve_tests();
    failed += run_release_tests();
    failed += run_lifecycle_tests();
    failed += run_catalog_tests();
    failed += run_asynchronous_tests();
    return failed == 0 ? 0 : 1;
}
