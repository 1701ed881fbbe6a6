"""Any file becomes a verification report."""
