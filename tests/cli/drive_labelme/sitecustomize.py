"""On Labelme's path in a test: a person's hands, which act when its window is open, in Labelme's own process.

In the first file the first region gets the label of FLAWSHOT_LABEL in the label dialog; in the second one the box
``predicted`` of the first region is unticked there; in the third one all are confirmed; then the window is closed.
With FLAWSHOT_LOCK, in the fourth file the first region is locked, which Labelme 7 can.
What is seen (Labelme's version, files, labels to choose from) is written to FLAWSHOT_SEEN.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

if "FLAWSHOT_LABEL" in os.environ:
    from importlib.metadata import version

    if int(version("labelme").partition(".")[0]) >= 7:
        from PySide6 import QtCore, QtWidgets

        EXECUTE = "exec"
    else:
        from PyQt5 import QtCore, QtWidgets

        EXECUTE = "exec_"
    run = getattr(QtWidgets.QApplication, EXECUTE)

    def select_first(window):
        listed = window._docks.label_list
        listed.clearSelection()
        listed.select_item(item=next(iter(listed)))

    def in_dialog(window, act):
        dialog = window._label_dialog

        def used():
            act(dialog)
            dialog.accept()
            return 1

        setattr(dialog, EXECUTE, used)
        select_first(window)
        window._edit_label()

    def boxes(dialog):
        layout = dialog._flags_layout
        return {box.text(): box for box in (layout.itemAt(each).widget() for each in range(layout.count()))}

    def work():
        status = 9
        try:
            window = next(
                each for each in QtWidgets.QApplication.topLevelWidgets() if type(each).__name__ == "MainWindow"
            )
            labels = window._label_dialog.label_list
            seen = {
                "labelme": version("labelme"),
                "files": [Path(each).name for each in window.image_list],
                "labels": [labels.item(each).text() for each in range(labels.count())],
            }
            Path(os.environ["FLAWSHOT_SEEN"]).write_text(json.dumps(seen), encoding="utf-8")
            in_dialog(window, lambda dialog: dialog.edit.setText(os.environ["FLAWSHOT_LABEL"]))
            window._open_next_image()
            in_dialog(window, lambda dialog: boxes(dialog)["predicted"].setChecked(False))
            window._open_next_image()
            window._docks.flag_list.item(0).setCheckState(QtCore.Qt.CheckState.Checked)
            if "FLAWSHOT_LOCK" in os.environ:
                window._open_next_image()
                select_first(window)
                window._toggle_selected_shapes_lock()
            # Labelme 7 saves in a thread, which closing the window waits for.
            status = 0 if window.close() else 8
        finally:
            QtWidgets.QApplication.exit(status)

    def driven(*_):
        QtCore.QTimer.singleShot(0, work)
        return run()

    setattr(QtWidgets.QApplication, EXECUTE, driven)
