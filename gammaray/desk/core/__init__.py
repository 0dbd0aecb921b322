"""The arrays of one account and the compiled functions over them: integers only, no objects, no IO."""
